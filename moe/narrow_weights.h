// Weights rounded to a narrower type, for files that others read.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/types.h"
#include "moe/weights.h"

namespace ponder::moe {

// "f32", "bf16" or "f16".
absl::StatusOr<DType> ParseFloatType(absl::string_view name);

// The same tensors as `dtype`, to nearest. InvalidArgument: one of them is not float32.
absl::StatusOr<std::shared_ptr<const Weights>> Narrowed(std::shared_ptr<const Weights> weights,
                                                        DType dtype);

}  // namespace ponder::moe
