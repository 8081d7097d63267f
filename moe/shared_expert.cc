#include "moe/shared_expert.h"

#include <cmath>

namespace ponder::moe {

void AddGatedRows(const float* x_TH, const float* gate_T, int64_t t, int64_t h, float* y_TH) {
  for (int64_t row = 0; row < t; ++row) {
    const float weight = 1.0f / (1.0f + std::exp(-gate_T[row]));
    const float* x = x_TH + row * h;
    float* y = y_TH + row * h;
    for (int64_t i = 0; i < h; ++i) y[i] += weight * x[i];
  }
}

}  // namespace ponder::moe
