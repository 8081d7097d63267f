// Passes over flat arrays of parameters and gradients. See moe/kernels/optimizer.h.
#pragma once

#include "moe/kernels/isa/rows.h"
#include "moe/kernels/isa/simd.h"
#include "moe/kernels/isa/table.h"

namespace ponder::kernels::PONDER_ISA {

static double SumOfSquaresF64(const float* x, int64_t n) {
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const double value = x[i + lane];
      sums[lane] += value * value;
    }
  }
  for (; i < n; ++i) sums[i % kLanes] += static_cast<double>(x[i]) * x[i];
  double sum = 0;
  for (const double of_lane : sums) sum += of_lane;
  return sum;
}

static void AdamW(const isa::AdamWArgs& args) {
  const F16 grad_scale = Set1(args.grad_scale), keep = Set1(args.keep);
  const F16 beta1 = Set1(args.beta1), one_minus_beta1 = Set1(args.one_minus_beta1);
  const F16 beta2 = Set1(args.beta2), one_minus_beta2 = Set1(args.one_minus_beta2);
  const F16 sqrt_correction2 = Set1(args.sqrt_correction2), eps = Set1(args.eps);
  const F16 step_size = Set1(args.step_size);
  ForVectors(args.n, [&](int64_t i, int64_t lanes) {
    const F16 g = Mul(LoadUpTo(args.grad + i, lanes), grad_scale);
    const F16 m = Add(Mul(LoadUpTo(args.m + i, lanes), beta1), Mul(g, one_minus_beta1));
    const F16 v = Add(Mul(LoadUpTo(args.v + i, lanes), beta2), Mul(Mul(g, g), one_minus_beta2));
    const F16 denominator = Add(Div(Sqrt(v), sqrt_correction2), eps);
    const F16 theta = Mul(LoadUpTo(args.theta + i, lanes), keep);
    StoreUpTo(args.m + i, m, lanes);
    StoreUpTo(args.v + i, v, lanes);
    StoreUpTo(args.theta + i, Sub(theta, Mul(step_size, Div(m, denominator))), lanes);
  });
}

}  // namespace ponder::kernels::PONDER_ISA
