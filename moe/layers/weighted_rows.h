// The derivative of y += weight * row, which gates and routers share.
#pragma once

#include <cstdint>

namespace ponder::moe {

// drow [H] = weight * dy; returns dweight = dy . row, in a fixed order: 16 interleaved sums, which
// the compiler keeps in vector registers.
inline float WeightedRowBackward(const float* dy_H, const float* row_H, float weight, int64_t h,
                                 float* drow_H) {
  constexpr int kLanes = 16;
  float sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= h; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      sums[lane] += dy_H[i + lane] * row_H[i + lane];
      drow_H[i + lane] = weight * dy_H[i + lane];
    }
  }
  float sum = 0;
  for (float lane : sums) sum += lane;
  for (; i < h; ++i) {
    sum += dy_H[i] * row_H[i];
    drow_H[i] = weight * dy_H[i];
  }
  return sum;
}

}  // namespace ponder::moe
