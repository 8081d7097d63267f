// Matrix products: one JSON line for each shape, with the rate of FMAs as a share of the peak
// measured in the same run.
//   bench_gemm [threads]
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "moe/kernels/gemm.h"
#include "moe/kernels/isa/table.h"

namespace ponder::kernels {
namespace {

// GFLOP/s over about 20 ms.
template <typename Body>
double Rate(double flops, Body body) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  double seconds = 0;
  int64_t calls = 0;
  do {
    body();
    ++calls;
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
  } while (seconds < 0.02);
  return flops * static_cast<double>(calls) / seconds * 1e-9;
}

// Independent chains of FMAs in registers: what one thread's products cannot beat.
double Peak() {
  constexpr int64_t kSteps = 20000;
  float sink = 0;
  const double flops = static_cast<double>(isa::Kernels().fma_peak(kSteps, &sink));
  return Rate(flops, [&] { isa::Kernels().fma_peak(kSteps, &sink); });
}

// The best of several runs, each beside a run at the peak: the machine may be shared, and its clock
// may change.
template <typename Body>
void Measure(const char* name, int64_t m, int64_t n, int64_t k, int threads, Body body) {
  double best = 0;
  double peak = 0;
  for (int run = 0; run < 15; ++run) {
    peak = std::max(peak, Peak());
    best = std::max(best, Rate(2.0 * static_cast<double>(m * n * k), body));
  }
  std::printf(
      "{\"name\": \"%s\", \"kernels\": \"%s\", \"m\": %ld, \"n\": %ld, \"k\": %ld, \"threads\": "
      "%d, "
      "\"gflops\": %.1f, \"share_of_peak\": %.3f}\n",
      name, KernelName(), static_cast<long>(m), static_cast<long>(n), static_cast<long>(k), threads,
      best, best / (peak * threads));
  std::fflush(stdout);
}

constexpr std::pair<const char*, WeightType> kTypes[] = {{"gemm", WeightType::kFloat32},
                                                         {"gemm_bf16", WeightType::kBfloat16},
                                                         {"gemm_int8", WeightType::kInt8}};

void Run(int threads) {
  ThreadPool pool(threads);
  for (const int64_t size : {128, 512, 1024}) {
    for (const int64_t m : {1, 4, 16, 64, 256, 4096}) {
      const std::vector<float> a(m * size, 0.5f);
      const std::vector<float> b(size * size, 0.25f);
      std::vector<float> c(m * size);
      for (const auto& [name, type] : kTypes) {
        PackedMatrix packed;
        packed.Pack(pool, b.data(), size, size, 1, size, type);
        Measure(name, m, size, size, threads,
                [&] { Gemm(pool, a.data(), size, 1, m, packed, c.data(), size); });
      }
    }
    // A weight's gradient: A and B are activations of 2048 tokens, packed on the way.
    constexpr int64_t kTokens = 2048;
    const std::vector<float> x(kTokens * size, 0.5f);
    std::vector<float> dweight(size * size);
    PackedMatrix dy;
    Measure("gemm_dweight", size, size, kTokens, threads, [&] {
      dy.Pack(pool, x.data(), kTokens, size, size, 1);
      Gemm(pool, x.data(), 1, size, size, dy, dweight.data(), size);
    });
  }
}

}  // namespace
}  // namespace ponder::kernels

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  if (threads < 1) {
    std::fprintf(stderr, "usage: bench_gemm [threads >= 1]\n");
    return 2;
  }
  ponder::kernels::Run(threads);
  return 0;
}
