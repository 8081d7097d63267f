#include "learner/schedule.h"

#include <algorithm>
#include <cmath>

namespace ponder::learner {

double WarmupConstant(double lr, int64_t warmup, int64_t step) {
  if (step >= warmup) return lr;
  return lr * static_cast<double>(step + 1) / static_cast<double>(warmup);
}

double WarmupCosine(double lr, double min_lr, int64_t warmup, int64_t steps, int64_t step) {
  if (step < warmup) return WarmupConstant(lr, warmup, step);
  const double span = static_cast<double>(std::max<int64_t>(steps - 1 - warmup, 1));
  const double progress = std::min(static_cast<double>(step - warmup) / span, 1.0);
  return min_lr + (lr - min_lr) * 0.5 * (1 + std::cos(M_PI * progress));
}

}  // namespace ponder::learner
