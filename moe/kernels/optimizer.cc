// Blocks of parameters shared out among threads; the arithmetic is in isa/optimizer.h.
#include "moe/kernels/optimizer.h"

#include <algorithm>
#include <vector>

namespace ponder::kernels {
namespace {

// Elements that are worth another thread; of which SumOfSquares makes one sum.
constexpr int64_t kBlock = 65536;

}  // namespace

double SumOfSquares(ThreadPool& pool, absl::Span<const float> x) {
  const int64_t n = static_cast<int64_t>(x.size());
  std::vector<double> sums((n + kBlock - 1) / kBlock);
  pool.ParallelFor(static_cast<int64_t>(sums.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      sums[i] = isa::Kernels().sum_of_squares_f64(x.data() + i * kBlock,
                                                  std::min(kBlock, n - i * kBlock));
    }
  });
  double sum = 0;
  for (const double block : sums) sum += block;
  return sum;
}

void AdamWStep(ThreadPool& pool, const AdamWArgs& args) {
  pool.ParallelFor(args.n, kBlock, [&](int64_t begin, int64_t end) {
    AdamWArgs part = args;
    part.n = end - begin;
    part.theta += begin;
    part.grad += begin;
    part.m += begin;
    part.v += begin;
    isa::Kernels().adamw(part);
  });
}

void SetZero(ThreadPool& pool, absl::Span<float> x) {
  pool.ParallelFor(static_cast<int64_t>(x.size()), kBlock, [&](int64_t begin, int64_t end) {
    std::fill(x.begin() + begin, x.begin() + end, 0.0f);
  });
}

}  // namespace ponder::kernels
