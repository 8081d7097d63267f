// F16 as four vectors of four, in the compiler's own extension: any machine. See simd.h.
#pragma once

#include <stdint.h>

namespace ponder::kernels::PONDER_ISA {

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
PONDER_INLINE F16 LoadBf16(const uint16_t* p) {
  uint32_t bits[kLanes];
  for (int i = 0; i < kLanes; ++i) bits[i] = static_cast<uint32_t>(p[i]) << 16;
  F16 out;
  __builtin_memcpy(&out, bits, sizeof(out));
  return out;
}
PONDER_INLINE F16 LoadInt8(const int8_t* p) {
  float lanes[kLanes];
  for (int i = 0; i < kLanes; ++i) lanes[i] = static_cast<float>(p[i]);
  return Load(lanes);
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
PONDER_INLINE F16 Sqrt(F16 a) {
  F16 out;
  for (int i = 0; i < kLanes; ++i) out.v[i / 4][i % 4] = __builtin_sqrtf(a.v[i / 4][i % 4]);
  return out;
}
PONDER_INLINE F16 PowerOfTwo(F16 t) {
  PONDER_EACH_QUARTER((Float4)(((Unsigned4)t.v[i] << 23) + (127u << 23)));
}
#undef PONDER_EACH_QUARTER

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

}  // namespace ponder::kernels::PONDER_ISA
