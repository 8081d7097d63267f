// Matrix products: one JSON line for each shape, with the rate of FMAs as a share of the peak
// measured in the same run.
//   gemm_bench [threads]
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "moe/kernels/gemm.h"
#include "moe/kernels/isa/table.h"

namespace ponder::kernels {
namespace {

// GFLOP/s of the best of several runs of about 20 ms each: the machine may be shared.
template <typename Body>
double BestRate(double flops, Body body) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (int run = 0; run < 15; ++run) {
    int64_t calls = 0;
    const auto start = Clock::now();
    double seconds = 0;
    do {
      body();
      ++calls;
      seconds = std::chrono::duration<double>(Clock::now() - start).count();
    } while (seconds < 0.02);
    best = std::max(best, flops * static_cast<double>(calls) / seconds * 1e-9);
  }
  return best;
}

// Independent chains of FMAs in registers: what no product can beat.
double PeakOfOneThread() {
  constexpr int64_t kSteps = 20000;
  float sink = 0;
  const double flops = static_cast<double>(isa::Kernels().fma_peak(kSteps, &sink));
  return BestRate(flops, [&] { isa::Kernels().fma_peak(kSteps, &sink); });
}

void Print(const char* name, int64_t m, int64_t n, int64_t k, int threads, double gflops,
           double peak) {
  std::printf(
      "{\"name\": \"%s\", \"kernels\": \"%s\", \"m\": %ld, \"n\": %ld, \"k\": %ld, \"threads\": "
      "%d, "
      "\"gflops\": %.1f, \"share_of_peak\": %.3f}\n",
      name, KernelName(), static_cast<long>(m), static_cast<long>(n), static_cast<long>(k), threads,
      gflops, gflops / (peak * threads));
  std::fflush(stdout);
}

void Run(int threads) {
  ThreadPool pool(threads);
  const double peak = PeakOfOneThread();
  Print("fma_peak", 0, 0, 0, 1, peak, peak);
  for (const int64_t size : {128, 512, 1024}) {
    for (const int64_t m : {1, 4, 16, 64, 256, 4096}) {
      const std::vector<float> a(m * size, 0.5f);
      const std::vector<float> b(size * size, 0.25f);
      std::vector<float> c(m * size);
      PackedMatrix packed;
      packed.Pack(pool, b.data(), size, size, 1, size);
      const double flops = 2.0 * static_cast<double>(m * size * size);
      Print("gemm", m, size, size, threads,
            BestRate(flops, [&] { Gemm(pool, a.data(), size, 1, m, packed, c.data(), size); }),
            peak);
    }
    // A weight's gradient: A and B are activations of 2048 tokens, packed on the way.
    constexpr int64_t kTokens = 2048;
    const std::vector<float> x(kTokens * size, 0.5f);
    std::vector<float> dweight(size * size);
    PackedMatrix dy;
    Print("gemm_dweight", size, size, kTokens, threads,
          BestRate(2.0 * static_cast<double>(kTokens * size * size),
                   [&] {
                     dy.Pack(pool, x.data(), kTokens, size, size, 1);
                     Gemm(pool, x.data(), 1, size, size, dy, dweight.data(), size, true);
                   }),
          peak);
  }
}

}  // namespace
}  // namespace ponder::kernels

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  if (threads < 1) {
    std::fprintf(stderr, "usage: gemm_bench [threads >= 1]\n");
    return 2;
  }
  ponder::kernels::Run(threads);
  return 0;
}
