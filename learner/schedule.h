// Learning-rate schedules: pure functions of the step, counted from 0.
#pragma once

#include <cstdint>

namespace ponder::learner {

// Rises linearly over `warmup` steps (step 0 gets lr / warmup), then stays.
double WarmupConstant(double lr, int64_t warmup, int64_t step);
// Rises likewise, then falls along a half cosine to min_lr at the last of `steps`.
double WarmupCosine(double lr, double min_lr, int64_t warmup, int64_t steps, int64_t step);

}  // namespace ponder::learner
