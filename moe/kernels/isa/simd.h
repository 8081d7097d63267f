// F16: sixteen floats, whatever the instruction set. A value.
//
// Included once for each instruction set, inside its own namespace PONDER_ISA. Nothing that emits
// an inline function with external linkage may be included by this folder's kernels: the linker
// would keep one copy of it for everybody, perhaps the one that an older machine cannot run. Where
// there are FMAs the same source gives the same bits: sums over lanes go down one fixed tree, exp
// is one polynomial. The generic set multiplies and adds with two roundings.
#pragma once

#include <stdint.h>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef PONDER_ISA
#error "define PONDER_ISA, the namespace of the instruction set, before this header"
#endif

#define PONDER_INLINE static inline __attribute__((always_inline))

namespace ponder::kernels::PONDER_ISA {

constexpr int kLanes = 16;

#if defined(__AVX512F__)

constexpr int kVectorRegisters = 32;  // in units of F16

struct F16 {
  __m512 v;
};
PONDER_INLINE __mmask16 FirstLanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
PONDER_INLINE F16 Set1(float x) { return {_mm512_set1_ps(x)}; }
PONDER_INLINE F16 Load(const float* p) { return {_mm512_loadu_ps(p)}; }
PONDER_INLINE void Store(float* p, F16 a) { _mm512_storeu_ps(p, a.v); }
// The first n lanes, 0 <= n <= 16; the others are zero. No memory is touched behind them.
PONDER_INLINE F16 LoadFirst(const float* p, int64_t n) {
  return {_mm512_maskz_loadu_ps(FirstLanes(n), p)};
}
PONDER_INLINE void StoreFirst(float* p, F16 a, int64_t n) {
  _mm512_mask_storeu_ps(p, FirstLanes(n), a.v);
}
// The first n lanes of a, the others from b.
PONDER_INLINE F16 SelectFirst(F16 a, F16 b, int64_t n) {
  return {_mm512_mask_blend_ps(FirstLanes(n), b.v, a.v)};
}
// Lanes of a where x >= y, else of b; b where either is NaN.
PONDER_INLINE F16 SelectGe(F16 x, F16 y, F16 a, F16 b) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.v, y.v, _CMP_GE_OQ), b.v, a.v)};
}
PONDER_INLINE F16 Fma(F16 a, F16 b, F16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
PONDER_INLINE F16 Add(F16 a, F16 b) { return {_mm512_add_ps(a.v, b.v)}; }
PONDER_INLINE F16 Sub(F16 a, F16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
PONDER_INLINE F16 Mul(F16 a, F16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
PONDER_INLINE F16 Div(F16 a, F16 b) { return {_mm512_div_ps(a.v, b.v)}; }
// b where either is NaN.
PONDER_INLINE F16 Max(F16 a, F16 b) { return {_mm512_max_ps(a.v, b.v)}; }
PONDER_INLINE F16 Min(F16 a, F16 b) { return {_mm512_min_ps(a.v, b.v)}; }
// 2^n, where t = n + 1.5 * 2^23.
PONDER_INLINE F16 PowerOfTwo(F16 t) {
  return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_slli_epi32(_mm512_castps_si512(t.v), 23),
                                               _mm512_set1_epi32(127 << 23)))};
}

#elif defined(__AVX2__)

constexpr int kVectorRegisters = 8;

struct F16 {
  __m256 lo, hi;
};
PONDER_INLINE __m256i FirstLanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
PONDER_INLINE F16 Set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
PONDER_INLINE F16 Load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
PONDER_INLINE void Store(float* p, F16 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
PONDER_INLINE F16 LoadFirst(const float* p, int64_t n) {
  return {_mm256_maskload_ps(p, FirstLanes(n)), _mm256_maskload_ps(p + 8, FirstLanes(n - 8))};
}
PONDER_INLINE void StoreFirst(float* p, F16 a, int64_t n) {
  _mm256_maskstore_ps(p, FirstLanes(n), a.lo);
  _mm256_maskstore_ps(p + 8, FirstLanes(n - 8), a.hi);
}
PONDER_INLINE F16 SelectFirst(F16 a, F16 b, int64_t n) {
  return {_mm256_blendv_ps(b.lo, a.lo, _mm256_castsi256_ps(FirstLanes(n))),
          _mm256_blendv_ps(b.hi, a.hi, _mm256_castsi256_ps(FirstLanes(n - 8)))};
}
PONDER_INLINE F16 SelectGe(F16 x, F16 y, F16 a, F16 b) {
  return {_mm256_blendv_ps(b.lo, a.lo, _mm256_cmp_ps(x.lo, y.lo, _CMP_GE_OQ)),
          _mm256_blendv_ps(b.hi, a.hi, _mm256_cmp_ps(x.hi, y.hi, _CMP_GE_OQ))};
}
PONDER_INLINE F16 Fma(F16 a, F16 b, F16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
PONDER_INLINE F16 Add(F16 a, F16 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
PONDER_INLINE F16 Sub(F16 a, F16 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
PONDER_INLINE F16 Mul(F16 a, F16 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
PONDER_INLINE F16 Div(F16 a, F16 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
PONDER_INLINE F16 Max(F16 a, F16 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
PONDER_INLINE F16 Min(F16 a, F16 b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
PONDER_INLINE __m256 PowerOfTwo8(__m256 t) {
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_slli_epi32(_mm256_castps_si256(t), 23),
                                              _mm256_set1_epi32(127 << 23)));
}
PONDER_INLINE F16 PowerOfTwo(F16 t) { return {PowerOfTwo8(t.lo), PowerOfTwo8(t.hi)}; }

#else

constexpr int kVectorRegisters = 4;

typedef float Float4 __attribute__((vector_size(16)));
typedef int32_t Int4 __attribute__((vector_size(16)));
typedef uint32_t Unsigned4 __attribute__((vector_size(16)));

struct F16 {
  Float4 v[4];
};
#define PONDER_EACH_QUARTER(expression)              \
  F16 out;                                           \
  for (int i = 0; i < 4; ++i) out.v[i] = expression; \
  return out

PONDER_INLINE F16 Set1(float x) { PONDER_EACH_QUARTER((Float4{x, x, x, x})); }
PONDER_INLINE F16 Load(const float* p) {
  F16 out;
  __builtin_memcpy(&out, p, sizeof(out));
  return out;
}
PONDER_INLINE void Store(float* p, F16 a) { __builtin_memcpy(p, &a, sizeof(a)); }
PONDER_INLINE F16 LoadFirst(const float* p, int64_t n) {
  float lanes[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return Load(lanes);
}
PONDER_INLINE void StoreFirst(float* p, F16 a, int64_t n) {
  float lanes[kLanes];
  Store(lanes, a);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}
PONDER_INLINE F16 SelectFirst(F16 a, F16 b, int64_t n) {
  float x[kLanes], y[kLanes];
  Store(x, a);
  Store(y, b);
  for (int64_t i = 0; i < n; ++i) y[i] = x[i];
  return Load(y);
}
PONDER_INLINE Float4 Blend(Int4 mask, Float4 a, Float4 b) {
  return (Float4)((mask & (Int4)a) | (~mask & (Int4)b));
}
PONDER_INLINE F16 SelectGe(F16 x, F16 y, F16 a, F16 b) {
  PONDER_EACH_QUARTER(Blend(x.v[i] >= y.v[i], a.v[i], b.v[i]));
}
PONDER_INLINE F16 Fma(F16 a, F16 b, F16 c) { PONDER_EACH_QUARTER(a.v[i] * b.v[i] + c.v[i]); }
PONDER_INLINE F16 Add(F16 a, F16 b) { PONDER_EACH_QUARTER(a.v[i] + b.v[i]); }
PONDER_INLINE F16 Sub(F16 a, F16 b) { PONDER_EACH_QUARTER(a.v[i] - b.v[i]); }
PONDER_INLINE F16 Mul(F16 a, F16 b) { PONDER_EACH_QUARTER(a.v[i] * b.v[i]); }
PONDER_INLINE F16 Div(F16 a, F16 b) { PONDER_EACH_QUARTER(a.v[i] / b.v[i]); }
PONDER_INLINE F16 Max(F16 a, F16 b) { PONDER_EACH_QUARTER(Blend(a.v[i] > b.v[i], a.v[i], b.v[i])); }
PONDER_INLINE F16 Min(F16 a, F16 b) { PONDER_EACH_QUARTER(Blend(a.v[i] < b.v[i], a.v[i], b.v[i])); }
PONDER_INLINE F16 PowerOfTwo(F16 t) {
  PONDER_EACH_QUARTER((Float4)(((Unsigned4)t.v[i] << 23) + (127u << 23)));
}
#undef PONDER_EACH_QUARTER

#endif

PONDER_INLINE F16 Zero() { return Set1(0); }

// Sum and MaxLane go down one tree, whatever the instruction set: lane i with i + 8, then with i +
// 4, i + 2, i + 1.
#if defined(__AVX2__)
PONDER_INLINE float FirstLane(F16 a) {
#if defined(__AVX512F__)
  return _mm512_cvtss_f32(a.v);
#else
  return _mm256_cvtss_f32(a.lo);
#endif
}
PONDER_INLINE __m256 LowHalf(F16 a) {
#if defined(__AVX512F__)
  return _mm512_castps512_ps256(a.v);
#else
  return a.lo;
#endif
}
PONDER_INLINE __m256 HighHalf(F16 a) {
#if defined(__AVX512F__)
  return _mm512_extractf32x8_ps(a.v, 1);
#else
  return a.hi;
#endif
}
PONDER_INLINE float Sum(F16 a) {
  const __m256 eight = _mm256_add_ps(LowHalf(a), HighHalf(a));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
PONDER_INLINE float MaxLane(F16 a) {
  const __m256 eight = _mm256_max_ps(LowHalf(a), HighHalf(a));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
#else
PONDER_INLINE float FirstLane(F16 a) { return a.v[0][0]; }
PONDER_INLINE float Sum(F16 a) {
  const Float4 four = (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]);
  return (four[0] + four[2]) + (four[1] + four[3]);
}
PONDER_INLINE float MaxLane(F16 a) {
  float x[kLanes];
  Store(x, a);
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) x[i] = x[i] > x[i + half] ? x[i] : x[i + half];
  }
  return x[0];
}
#endif

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
