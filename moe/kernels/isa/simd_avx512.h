// F16 as one register of AVX-512. See simd.h.
#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace ponder::kernels::PONDER_ISA {

constexpr int kVectorRegisters = 32;

struct F16 {
  __m512 v;
};
PONDER_INLINE __mmask16 FirstLanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
PONDER_INLINE F16 Set1(float x) { return {_mm512_set1_ps(x)}; }
PONDER_INLINE F16 Load(const float* p) { return {_mm512_loadu_ps(p)}; }
PONDER_INLINE void Store(float* p, F16 a) { _mm512_storeu_ps(p, a.v); }
PONDER_INLINE F16 LoadFirst(const float* p, int64_t n) {
  return {_mm512_maskz_loadu_ps(FirstLanes(n), p)};
}
PONDER_INLINE void StoreFirst(float* p, F16 a, int64_t n) {
  _mm512_mask_storeu_ps(p, FirstLanes(n), a.v);
}
PONDER_INLINE F16 LoadBf16(const uint16_t* p) {
  const __m256i narrow = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16))};
}
PONDER_INLINE F16 LoadInt8(const int8_t* p) {
  const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(narrow))};
}
PONDER_INLINE F16 SelectFirst(F16 a, F16 b, int64_t n) {
  return {_mm512_mask_blend_ps(FirstLanes(n), b.v, a.v)};
}
PONDER_INLINE F16 SelectGe(F16 x, F16 y, F16 a, F16 b) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.v, y.v, _CMP_GE_OQ), b.v, a.v)};
}
PONDER_INLINE F16 Fma(F16 a, F16 b, F16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
PONDER_INLINE F16 Add(F16 a, F16 b) { return {_mm512_add_ps(a.v, b.v)}; }
PONDER_INLINE F16 Sub(F16 a, F16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
PONDER_INLINE F16 Mul(F16 a, F16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
PONDER_INLINE F16 Div(F16 a, F16 b) { return {_mm512_div_ps(a.v, b.v)}; }
PONDER_INLINE F16 Sqrt(F16 a) { return {_mm512_sqrt_ps(a.v)}; }
PONDER_INLINE F16 Max(F16 a, F16 b) { return {_mm512_max_ps(a.v, b.v)}; }
PONDER_INLINE F16 Min(F16 a, F16 b) { return {_mm512_min_ps(a.v, b.v)}; }
PONDER_INLINE F16 PowerOfTwo(F16 t) {
  return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_slli_epi32(_mm512_castps_si512(t.v), 23),
                                               _mm512_set1_epi32(127 << 23)))};
}

PONDER_INLINE float FirstLane(F16 a) { return _mm512_cvtss_f32(a.v); }

PONDER_INLINE float Sum(F16 a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
PONDER_INLINE float MaxLane(F16 a) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

}  // namespace ponder::kernels::PONDER_ISA
