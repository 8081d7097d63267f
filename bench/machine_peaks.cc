#include "bench/machine_peaks.h"

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <mutex>
#include <vector>

#include "absl/functional/function_ref.h"
#include "moe/kernels/isa/table.h"

namespace ponder::bench {
double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

namespace {

// The process's clock is behind by up to a tick for threads that run: these rates are of each
// thread's own.
double ThreadCpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The best of several runs of `pieces` pieces, shared by all threads: what one returned a second of
// processor time, times the threads.
double BestRate(kernels::ThreadPool& pool, int runs, int64_t pieces,
                absl::FunctionRef<double(int64_t)> piece) {
  double best = 0;
  for (int run = 0; run < runs; ++run) {
    std::mutex mutex;
    double done = 0, seconds = 0;
    pool.ParallelFor(pieces, 1, [&](int64_t begin, int64_t end) {
      const double start = ThreadCpuSeconds();
      double mine = 0;
      for (int64_t i = begin; i < end; ++i) mine += piece(i);
      const double took = ThreadCpuSeconds() - start;
      const std::lock_guard<std::mutex> lock(mutex);
      done += mine;
      seconds += took;
    });
    best = std::max(best, done * pool.threads() / seconds);
  }
  return best;
}

}  // namespace

double FmaPeak(kernels::ThreadPool& pool) {
  constexpr int64_t kSteps = 100000;
  return BestRate(pool, 10, pool.threads() * 8, [](int64_t) {
    float sink = 0;
    return static_cast<double>(kernels::isa::Kernels().fma_peak(kSteps, &sink));
  });
}

double ReadBandwidth(kernels::ThreadPool& pool) {
  constexpr int64_t kBytes = int64_t{256} << 20;
  constexpr int64_t kRowBytes = int64_t{1} << 18;
  constexpr int64_t kRowFloats = kRowBytes / int64_t{sizeof(float)};
  static const std::vector<float> memory(kBytes / sizeof(float), 1.0f);
  return BestRate(pool, 5, kBytes / kRowBytes, [](int64_t row) {
    // The greatest element is used, so that the reads cannot be left out.
    const float most =
        kernels::isa::Kernels().max(&memory[static_cast<size_t>(row * kRowFloats)], kRowFloats);
    return most > 0 ? static_cast<double>(kRowBytes) : 0;
  });
}

}  // namespace ponder::bench
