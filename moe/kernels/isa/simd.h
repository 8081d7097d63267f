// F16: sixteen floats, whatever the instruction set. A value.
//
// Included once for each instruction set, inside its own namespace PONDER_ISA. Nothing that emits
// an inline function with external linkage may be included by this folder's kernels: the linker
// would keep one copy of it for everybody, perhaps the one that an older machine cannot run. Where
// there are FMAs the same source gives the same bits: Sum and MaxLane go down one tree (lane i with
// i + 8, then with i + 4, i + 2, i + 1), exp is one polynomial. The generic set rounds between the
// multiplication and the addition.
#pragma once

#include <stdint.h>

#ifndef PONDER_ISA
#error "define PONDER_ISA, the namespace of the instruction set, before this header"
#endif

#define PONDER_INLINE static inline __attribute__((always_inline))
#define PONDER_INLINE_MEMBER __attribute__((always_inline)) inline

namespace ponder::kernels::PONDER_ISA {
constexpr int kLanes = 16;
}

// Each defines kVectorRegisters (in units of F16) and:
//   Set1 Load Store Fma Add Sub Mul Div Sqrt, lane by lane
//   LoadFirst, StoreFirst   the first n lanes, 0 <= n <= 16; the others load as zero, and no memory
//                           is touched behind them
//   LoadBf16, LoadInt8      sixteen elements of a narrower type, widened exactly
//   SelectFirst(a, b, n)    the first n lanes of a, the others from b
//   SelectGe(x, y, a, b)    a where x >= y, else b; b where either is NaN
//   Max(a, b), Min(a, b)    b where either is NaN
//   PowerOfTwo(t)           2^n, where t = n + 1.5 * 2^23
//   FirstLane, Sum, MaxLane
#if defined(__AVX512F__)
#include "moe/kernels/isa/simd_avx512.h"
#elif defined(__AVX2__)
#include "moe/kernels/isa/simd_avx2.h"
#else
#include "moe/kernels/isa/simd_generic.h"
#endif

namespace ponder::kernels::PONDER_ISA {

PONDER_INLINE F16 Zero() { return Set1(0); }

// e^x to about two units in the last place; 0 below -87.33 (no denormals), infinity above 88.37;
// NaN stays. Cody and Waite's reduction by ln 2 in two parts, then the polynomial of Cephes' expf.
PONDER_INLINE F16 Exp(F16 x) {
  const F16 low = Set1(-87.33f);
  const F16 clamped = Min(Set1(88.7f), Max(low, x));
  const F16 shift = Set1(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const F16 t = Fma(clamped, Set1(1.44269504f), shift);
  const F16 n = Sub(t, shift);
  F16 r = Fma(n, Set1(-0.693359375f), clamped);
  r = Fma(n, Set1(2.12194440e-4f), r);
  F16 p = Set1(1.9875691500e-4f);
  p = Fma(p, r, Set1(1.3981999507e-3f));
  p = Fma(p, r, Set1(8.3334519073e-3f));
  p = Fma(p, r, Set1(4.1665795894e-2f));
  p = Fma(p, r, Set1(1.6666665459e-1f));
  p = Fma(p, r, Set1(5.0000001201e-1f));
  p = Add(Fma(p, Mul(r, r), r), Set1(1));
  const F16 e = Mul(p, PowerOfTwo(t));
  return SelectGe(low, x, Zero(), e);
}

}  // namespace ponder::kernels::PONDER_ISA
