// How many rows make a range that is worth another thread.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ponder::kernels {

// `cost`: floats that a row touches, counted dearer where they go through an exp.
inline int64_t RowsWorthSharing(int64_t cost) {
  constexpr int64_t kFloats = 16384;
  return std::max<int64_t>(1, kFloats / std::max<int64_t>(1, cost));
}

}  // namespace ponder::kernels
