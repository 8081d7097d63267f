#include "moe/narrow_weights.h"

#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "moe/kernels/float_formats.h"

namespace ponder::moe {

absl::StatusOr<DType> ParseFloatType(absl::string_view name) {
  if (name == "f32") return DType::kF32;
  if (name == "bf16") return DType::kBF16;
  if (name == "f16") return DType::kF16;
  return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is not one of f32, bf16, f16"));
}

absl::StatusOr<std::shared_ptr<const Weights>> Narrowed(std::shared_ptr<const Weights> weights,
                                                        DType dtype) {
  if (dtype == DType::kF32) return weights;
  WeightManifest manifest = weights->manifest();
  manifest.total_bytes /= 2;
  auto blob = std::make_shared<std::vector<uint8_t>>(manifest.total_bytes);
  for (TensorSpec& tensor : manifest.tensors) {
    PONDER_ASSIGN_OR_RETURN(const auto values, weights->F32(tensor.name));
    tensor.dtype = dtype;
    tensor.begin /= 2;
    tensor.end /= 2;
    uint8_t* out = blob->data() + tensor.begin;
    for (const float value : values) {
      const uint16_t narrow =
          dtype == DType::kBF16 ? kernels::ToBf16(value) : kernels::ToF16(value);
      std::memcpy(out, &narrow, sizeof(narrow));
      out += sizeof(narrow);
    }
  }
  ComputeChecksums(*blob, &manifest);
  return Weights::Make(std::move(manifest), std::move(blob));
}

}  // namespace ponder::moe
