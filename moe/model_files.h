// The files of a model's folder to be written: config.json, and the tensors as model.safetensors
// or, where they are large, as shards with an index, as Hugging Face's transformers lays them out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "moe/checked_folder.h"
#include "moe/checkpoint.h"
#include "moe/checkpoint_files.h"

namespace ponder::moe {

// What transformers takes as the most bytes of a shard.
constexpr uint64_t kMaxShardBytes = 5'000'000'000;

// A tensor for a file. A value; `bytes` are the owner's.
struct NamedTensor {
  std::string name;  // as in files
  std::string dtype;
  std::vector<int64_t> shape;
  absl::Span<const uint8_t> bytes;
};

// Adds the tensors, whose bytes `owners` keep, in their order. A tensor larger than a shard has one
// of its own.
void AddTensors(const std::vector<NamedTensor>& tensors,
                std::vector<std::shared_ptr<const void>> owners, uint64_t max_shard_bytes,
                FolderFiles* files);

// The tensors under their own names as one file, such as an optimizer's; OpenTensors reads it.
FolderFile TensorsFile(const std::shared_ptr<const Weights>& weights);

// What of a model's folder training leaves as it is, and every checkpoint takes along. A value.
struct Carried {
  FolderFiles files;  // of its text: tokenizer, chat template, ...
  // Those that the decoder has no use for, such as layers for multi-token prediction; null: none.
  std::shared_ptr<const CheckpointFiles> tensors;
};
// With the tensors of the model in `folder`; LoadModel has opened it.
absl::StatusOr<Carried> CarriedFrom(const std::string& folder, const ModelConfig& config,
                                    FolderFiles text_files);

// `model`, its tensors as it has them.
FolderFiles ModelFiles(const Model& model, const Carried& carried = {},
                       uint64_t max_shard_bytes = kMaxShardBytes);
// The model in `folder` as it is: every tensor and config.json byte by byte.
absl::StatusOr<FolderFiles> StoredModelFiles(const std::string& folder, FolderFiles text_files,
                                             uint64_t max_shard_bytes = kMaxShardBytes);

}  // namespace ponder::moe
