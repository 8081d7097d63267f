// F16 as two registers of AVX2, with FMA. See simd.h.
#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace ponder::kernels::PONDER_ISA {

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
PONDER_INLINE __m256 LoadBf16Half(const uint16_t* p) {
  const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(narrow), 16));
}
PONDER_INLINE F16 LoadBf16(const uint16_t* p) { return {LoadBf16Half(p), LoadBf16Half(p + 8)}; }
PONDER_INLINE __m256 LoadInt8Half(const int8_t* p) {
  const __m128i narrow = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(narrow));
}
PONDER_INLINE F16 LoadInt8(const int8_t* p) { return {LoadInt8Half(p), LoadInt8Half(p + 8)}; }
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
PONDER_INLINE F16 Sqrt(F16 a) { return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
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

PONDER_INLINE float FirstLane(F16 a) { return _mm256_cvtss_f32(a.lo); }

PONDER_INLINE float Sum(F16 a) {
  const __m256 eight = _mm256_add_ps(a.lo, a.hi);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
PONDER_INLINE float MaxLane(F16 a) {
  const __m256 eight = _mm256_max_ps(a.lo, a.hi);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

}  // namespace ponder::kernels::PONDER_ISA
