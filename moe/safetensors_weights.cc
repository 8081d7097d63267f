// A safetensors file as a blob of weights.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "moe/safetensors.h"

namespace ponder::moe {
namespace {

absl::StatusOr<std::shared_ptr<const Weights>> Parse(const std::string& bytes) {
  PONDER_ASSIGN_OR_RETURN(SafetensorsFile file, ParseSafetensorsHeader(bytes));
  WeightManifest manifest;
  manifest.total_bytes = bytes.size() - file.data_begin;
  for (SafetensorsTensor& tensor : file.tensors) {
    TensorSpec spec;
    bool known = false;
    for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kI64}) {
      if (tensor.dtype != DTypeName(dtype)) continue;
      spec.dtype = dtype;
      known = true;
    }
    if (!known) {
      return absl::DataLossError(absl::StrCat("tensor ", tensor.name, " has dtype ", tensor.dtype,
                                              ", not one of F32, BF16, F16, I64"));
    }
    spec.name = std::move(tensor.name);
    spec.shape = std::move(tensor.shape);
    spec.begin = tensor.begin;
    spec.end = tensor.end;
    manifest.tensors.push_back(std::move(spec));
  }
  auto blob = std::make_shared<std::vector<uint8_t>>(
      bytes.begin() + static_cast<ptrdiff_t>(file.data_begin), bytes.end());
  ComputeChecksums(*blob, &manifest);
  return Weights::Make(std::move(manifest), std::move(blob));
}

}  // namespace

std::string SafetensorsBytes(const Weights& weights) {
  std::vector<SafetensorsTensor> tensors;
  for (const TensorSpec& spec : weights.manifest().tensors) {
    tensors.push_back({spec.name, DTypeName(spec.dtype), spec.shape, spec.begin, spec.end});
  }
  std::string bytes = SafetensorsHeader(tensors);
  bytes.reserve(bytes.size() + weights.manifest().total_bytes);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const absl::Span<const uint8_t> tensor = weights.bytes(i);
    bytes.append(reinterpret_cast<const char*>(tensor.data()), tensor.size());
  }
  return bytes;
}

absl::StatusOr<std::shared_ptr<const Weights>> ParseSafetensors(std::string bytes,
                                                                const std::string& path) {
  auto weights = Parse(bytes);
  if (!weights.ok())
    return absl::DataLossError(absl::StrCat(path, ": ", weights.status().message()));
  return weights;
}

}  // namespace ponder::moe
