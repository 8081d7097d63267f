#include "moe/model_files.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "base/atomic_file.h"
#include "base/check.h"
#include "base/status.h"
#include "moe/families/family.h"
#include "moe/safetensors.h"
#include "nlohmann/json.hpp"

namespace ponder::moe {
namespace {

// The first tensor of each shard, and the end of the last.
std::vector<size_t> CutIntoShards(const std::vector<NamedTensor>& tensors, uint64_t max_bytes) {
  std::vector<size_t> cuts = {0};
  uint64_t bytes = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (bytes > 0 && bytes + tensors[i].bytes.size() > max_bytes) {
      cuts.push_back(i);
      bytes = 0;
    }
    bytes += tensors[i].bytes.size();
  }
  cuts.push_back(tensors.size());
  return cuts;
}

FolderFile OneFile(absl::Span<const NamedTensor> tensors,
                   const std::vector<std::shared_ptr<const void>>& owners) {
  std::vector<SafetensorsTensor> specs;
  FolderFile file;
  uint64_t at = 0;
  for (const NamedTensor& tensor : tensors) {
    specs.push_back({tensor.name, tensor.dtype, tensor.shape, at, at + tensor.bytes.size()});
    file.parts.push_back(tensor.bytes);
    at += tensor.bytes.size();
  }
  file.text = SafetensorsHeader(specs);
  file.owners = owners;
  return file;
}

std::vector<NamedTensor> StoredTensors(const CheckpointFiles& files) {
  std::vector<NamedTensor> tensors;
  for (const CheckpointFiles::Tensor& tensor : files.tensors())
    tensors.push_back({tensor.spec.name, tensor.spec.dtype, tensor.spec.shape, tensor.bytes});
  return tensors;
}

}  // namespace

void AddTensors(const std::vector<NamedTensor>& tensors,
                std::vector<std::shared_ptr<const void>> owners, uint64_t max_shard_bytes,
                FolderFiles* files) {
  const std::vector<size_t> cuts = CutIntoShards(tensors, max_shard_bytes);
  const size_t shards = cuts.size() - 1;
  if (shards == 1) {
    (*files)[kWeightsFile] = OneFile(tensors, owners);
    return;
  }
  nlohmann::ordered_json map = nlohmann::ordered_json::object();
  uint64_t total = 0;
  for (size_t shard = 0; shard < shards; ++shard) {
    const auto part =
        absl::MakeConstSpan(tensors).subspan(cuts[shard], cuts[shard + 1] - cuts[shard]);
    const std::string name = absl::StrFormat("model-%05d-of-%05d.safetensors", shard + 1, shards);
    for (const NamedTensor& tensor : part) {
      map[tensor.name] = name;
      total += tensor.bytes.size();
    }
    (*files)[name] = OneFile(part, owners);
  }
  const nlohmann::ordered_json index = {{"metadata", {{"total_size", total}}}, {"weight_map", map}};
  (*files)[kIndexFile] = index.dump(2) + "\n";
}

FolderFile TensorsFile(const std::shared_ptr<const Weights>& weights) {
  std::vector<NamedTensor> tensors;
  for (size_t i = 0; i < weights->manifest().tensors.size(); ++i) {
    const TensorSpec& spec = weights->manifest().tensors[i];
    tensors.push_back({spec.name, DTypeName(spec.dtype), spec.shape, weights->bytes(i)});
  }
  return OneFile(tensors, {weights});
}

absl::StatusOr<Carried> CarriedFrom(const std::string& folder, const ModelConfig& config,
                                    FolderFiles text_files) {
  Carried carried;
  carried.files = std::move(text_files);
  PONDER_ASSIGN_OR_RETURN(const auto files, CheckpointFiles::Open(folder));
  for (const CheckpointFiles::Tensor& tensor : files->tensors()) {
    if (!MayCarry(config, tensor.spec.name)) continue;
    PONDER_RETURN_IF_ERROR(files->Check(tensor));
    carried.tensors = files;
  }
  return carried;
}

FolderFiles ModelFiles(const Model& model, const Carried& carried, uint64_t max_shard_bytes) {
  std::vector<NamedTensor> tensors;
  for (size_t i = 0; i < model.weights->manifest().tensors.size(); ++i) {
    const TensorSpec& spec = model.weights->manifest().tensors[i];
    const absl::Span<const uint8_t> bytes = model.weights->bytes(i);
    PONDER_CHECK(bytes.size() == spec.end - spec.begin, spec.name, " is FP8");
    tensors.push_back(
        {FileNameOf(model.config, spec.name), DTypeName(spec.dtype), spec.shape, bytes});
  }
  if (carried.tensors != nullptr) {
    for (NamedTensor& tensor : StoredTensors(*carried.tensors))
      if (MayCarry(model.config, tensor.name)) tensors.push_back(std::move(tensor));
  }
  FolderFiles files = carried.files;
  files[kConfigFile] = model.config.ToJson();
  AddTensors(tensors, {model.weights, carried.tensors}, max_shard_bytes, &files);
  return files;
}

absl::StatusOr<FolderFiles> StoredModelFiles(const std::string& folder, FolderFiles text_files,
                                             uint64_t max_shard_bytes) {
  PONDER_ASSIGN_OR_RETURN(const auto stored, CheckpointFiles::Open(folder));
  FolderFiles files = std::move(text_files);
  PONDER_ASSIGN_OR_RETURN(files[kConfigFile], ReadCheckedFile(folder, kConfigFile));
  for (const CheckpointFiles::Tensor& tensor : stored->tensors())
    PONDER_RETURN_IF_ERROR(stored->Check(tensor));
  AddTensors(StoredTensors(*stored), {stored}, max_shard_bytes, &files);
  return files;
}

}  // namespace ponder::moe
