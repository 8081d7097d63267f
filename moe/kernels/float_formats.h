// The narrow formats of weights: bfloat16, IEEE half precision, and llama.cpp's q8_0 (blocks of 32
// signed bytes that share a half-precision scale). Rounding is to nearest, ties to even.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace ponder::kernels {

inline uint32_t BitsOf(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
}

inline float FloatOf(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof(x));
  return x;
}

// NaN stays NaN; what is too large becomes infinity.
inline uint16_t ToBf16(float x) {
  const uint32_t bits = BitsOf(x);
  if (x != x) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float FromBf16(uint16_t x) { return FloatOf(static_cast<uint32_t>(x) << 16); }

inline uint16_t ToF16(float x) {
  const uint32_t bits = BitsOf(x);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const float size = FloatOf(bits & 0x7fffffff);
  if (x != x) return sign | 0x7e00;
  if (size >= 65520.0f) return sign | 0x7c00;
  // Below 2^-14 steps are 2^-24 wide: adding 0.5 rounds to them.
  if (size < 6.103515625e-05f) {
    return static_cast<uint16_t>(sign | (BitsOf(size + 0.5f) - BitsOf(0.5f)));
  }
  const uint32_t rebased = (bits & 0x7fffffff) - (uint32_t{112} << 23);
  return static_cast<uint16_t>(sign | ((rebased + 0xfff + (rebased >> 13 & 1)) >> 13));
}

inline float FromF16(uint16_t x) {
  const uint32_t sign = static_cast<uint32_t>(x & 0x8000) << 16;
  const uint32_t exponent = x >> 10 & 0x1f;
  const uint32_t fraction = x & 0x3ff;
  if (exponent == 0x1f) return FloatOf(sign | 0x7f800000 | fraction << 13);
  if (exponent == 0) {
    const float size = static_cast<float>(fraction) * 5.9604644775390625e-08f;  // 2^-24
    return sign != 0 ? -size : size;
  }
  return FloatOf(sign | (exponent + 112) << 23 | fraction << 13);
}

constexpr int kQ8Block = 32;

struct Q8Block {
  uint16_t scale;  // half precision
  int8_t values[kQ8Block];
};
static_assert(sizeof(Q8Block) == 34, "as llama.cpp lays it out");

// x[i] is about scale * values[i]; finite x.
inline Q8Block ToQ8(const float* x) {
  float most = 0;
  for (int i = 0; i < kQ8Block; ++i) most = std::max(most, std::fabs(x[i]));
  const float scale = most / 127;
  const float inverse = scale > 0 ? 1 / scale : 0;
  Q8Block block;
  block.scale = ToF16(scale);
  for (int i = 0; i < kQ8Block; ++i) {
    block.values[i] = static_cast<int8_t>(std::nearbyint(x[i] * inverse));
  }
  return block;
}

}  // namespace ponder::kernels
