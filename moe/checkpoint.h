// Checkpoints on disk: a folder with config.json and safetensors files, in the layout that Hugging
// Face's transformers reads and writes; plus checksums.json where Ponder wrote it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "moe/checked_folder.h"
#include "moe/model_config.h"
#include "moe/safetensors.h"
#include "moe/weights.h"

namespace ponder::moe {

struct Model {
  ModelConfig config;
  std::shared_ptr<const Weights> weights;  // under the decoder's names, see ModelConfig::Layout
};

// Writes into a new folder beside `folder`, then renames: a crash leaves the old checkpoint or the
// new one. checksums.json holds the CRC-32 of every file in the folder. Those who add files of
// their own take moe/model_files.h and WriteCheckedFolder.
absl::Status SaveModel(const std::string& folder, const Model& model);

// Opens a checkpoint of any family of moe/families/: config.json and model.safetensors or its
// shards. The tensors stay in the files, mapped, as F32, BF16, F16 or F8_E4M3 with block scales.
// DataLoss (when checksums.json is there): a header is damaged, or any file that has no tensors; a
// tensor's damage is told by the Weights when it is read. InvalidArgument: a tensor is missing, of
// another shape, or not the model's. The message names the file and the tensor.
absl::StatusOr<Model> LoadModel(const std::string& folder);

// The tensors of one file of a folder that WriteCheckedFolder wrote, such as an optimizer's, in
// place like a model's.
absl::StatusOr<std::shared_ptr<const Weights>> OpenTensors(const std::string& folder,
                                                           const std::string& name);

}  // namespace ponder::moe
