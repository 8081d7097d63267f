// Checkpoints on disk: a folder with config.json and model.safetensors, as transformers reads it,
// plus checksums.json.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "moe/checked_folder.h"
#include "moe/model_config.h"
#include "moe/weights.h"

namespace ponder::moe {

struct Model {
  ModelConfig config;
  std::shared_ptr<const Weights> weights;
};

// Writes into a new folder beside `folder`, then renames: a crash leaves the old checkpoint or the
// new one. checksums.json holds the CRC-32 of every file in the folder.
absl::Status SaveModel(const std::string& folder, const Model& model);
// What SaveModel writes, for those who add files of their own and call WriteCheckedFolder.
FolderFiles ModelFiles(const Model& model);

// Reads it back. DataLoss: the checksum of any file in the folder (when checksums.json is there) or
// a header does not hold; the message names the file and, where it can, the tensor.
absl::StatusOr<Model> LoadModel(const std::string& folder);

// One safetensors file. The header is checked before anything is allocated: sizes, overlaps, gaps,
// duplicate names.
std::string SafetensorsBytes(const Weights& weights);
absl::StatusOr<std::shared_ptr<const Weights>> ParseSafetensors(std::string bytes,
                                                                const std::string& path);

}  // namespace ponder::moe
