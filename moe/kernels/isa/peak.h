// The machine's peak of multiply-adds, for benchmarks to measure against.
#pragma once

#include "moe/kernels/isa/simd.h"

namespace ponder::kernels::PONDER_ISA {

// `steps` FMAs on each of many chains that do not wait for one another. Returns the floating-point
// operations done.
static int64_t FmaPeak(int64_t steps, float* sink) {
  constexpr int kChains = kVectorRegisters == 32 ? 24 : kVectorRegisters == 8 ? 6 : 3;
  F16 chain[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) chain[i] = Set1(static_cast<float>(i));
  const F16 a = Set1(0.999f);
  const F16 b = Set1(1 + *sink);  // all chains go to 1000: a number near 0 may be slow to work with
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) chain[i] = Fma(chain[i], a, b);
  }
  F16 sum = Zero();
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) sum = Add(sum, chain[i]);
  *sink = Sum(sum) * 1e-20f;
  return 2 * steps * kChains * kLanes;
}

}  // namespace ponder::kernels::PONDER_ISA
