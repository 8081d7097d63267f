#include "actor/pass_at_k.h"

#include <cmath>

#include "base/check.h"

namespace ponder::actor {

double PassAtK(int64_t n, int64_t c, int64_t k) {
  PONDER_CHECK(0 <= c && c <= n && 1 <= k && k <= n, "n ", n, ", c ", c, ", k ", k);
  if (n - c < k) return 1;
  double all_wrong = 1;
  for (int64_t i = n - c + 1; i <= n; ++i)
    all_wrong *= 1 - static_cast<double>(k) / static_cast<double>(i);
  return 1 - all_wrong;
}

Interval WilsonInterval(double mean, int64_t n) {
  if (n == 0) return {};
  constexpr double kZ = 1.959963984540054;  // two-sided 95% of the standard normal
  const double trials = static_cast<double>(n);
  const double shrink = 1 + kZ * kZ / trials;
  const double center = (mean + kZ * kZ / (2 * trials)) / shrink;
  const double half =
      kZ * std::sqrt(mean * (1 - mean) / trials + kZ * kZ / (4 * trials * trials)) / shrink;
  // Rounding must not leave the ends of the range when all trials agree.
  return {mean > 0 ? center - half : 0, mean < 1 ? center + half : 1};
}

}  // namespace ponder::actor
