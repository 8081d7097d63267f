// The elements of tensors between their formats and float32.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "moe/weights.h"

namespace ponder::moe {

// The elements [first, first + out.size()) of a tensor of `shape`. The dtype must be a float's, the
// bytes as many as it needs.
void CopyAsFloats(const TensorSpec& spec, const TensorBytes& from, int64_t first,
                  absl::Span<float> out);
// The same from a copy of their bytes.
void CopyAsFloats(const TensorSpec& spec, const TensorBytes& from, int64_t first,
                  const uint8_t* bytes, absl::Span<float> out);
// F32, BF16 or F16, to nearest.
void CopyFromFloats(absl::Span<const float> values, DType dtype, uint8_t* out);

}  // namespace ponder::moe
