// The arithmetic of evaluation: pass@k and confidence intervals. Pure functions.
#pragma once

#include <cstdint>

namespace ponder::actor {

// The chance that at least one of k answers is correct, estimated without bias from n answers of
// which c are: 1 - C(n - c, k) / C(n, k) (Chen et al., arXiv 2107.03374, eq. 1). 0 <= c <= n, 1 <=
// k <= n.
double PassAtK(int64_t n, int64_t c, int64_t k);

// A 95% confidence interval in [0, 1].
struct Interval {
  double low = 0;
  double high = 1;
};
// Wilson's score interval for a share of `n` independent trials. For the mean of n values in [0,
// 1], such as a prompt's share of correct answers, it is conservative: no such values vary more
// than a coin of that mean. [0, 1] when n is 0.
Interval WilsonInterval(double mean, int64_t n);

}  // namespace ponder::actor
