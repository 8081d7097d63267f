#include "bench/machine_peaks.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <ctime>
#include <vector>

#include "moe/kernels/isa/table.h"

namespace ponder::bench {
double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double FmaPeak(kernels::ThreadPool& pool) {
  constexpr int64_t kSteps = 100000;
  constexpr int kRuns = 10;
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    std::atomic<int64_t> flops{0};
    const double start = CpuSeconds();
    pool.ParallelFor(pool.threads() * 8, 1, [&](int64_t begin, int64_t end) {
      float sink = 0;
      for (int64_t i = begin; i < end; ++i) {
        flops += kernels::isa::Kernels().fma_peak(kSteps, &sink);
      }
    });
    best =
        std::max(best, static_cast<double>(flops.load()) * pool.threads() / (CpuSeconds() - start));
  }
  return best;
}

double ReadBandwidth(kernels::ThreadPool& pool) {
  constexpr int64_t kBytes = int64_t{256} << 20;
  constexpr int64_t kRowBytes = int64_t{1} << 18;
  constexpr int64_t kRowFloats = kRowBytes / int64_t{sizeof(float)};
  constexpr int kRuns = 5;
  static const std::vector<float> memory(kBytes / sizeof(float), 1.0f);
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    std::atomic<int64_t> rows{0};
    const double start = CpuSeconds();
    pool.ParallelFor(kBytes / kRowBytes, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        // The greatest element is used, so that the reads cannot be left out.
        const float most =
            kernels::isa::Kernels().max(&memory[static_cast<size_t>(row * kRowFloats)], kRowFloats);
        rows += most > 0;
      }
    });
    best = std::max(best, static_cast<double>(rows.load() * kRowBytes) * pool.threads() /
                              (CpuSeconds() - start));
  }
  return best;
}

}  // namespace ponder::bench
