// Narrow formats against the nearest value, found by search over all of them.
#include "moe/kernels/float_formats.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/moe/kernels/random_floats.h"

namespace ponder::kernels {
namespace float_formats_test {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Positive values of all sizes, and the edges between two narrow ones.
std::vector<float> Samples() {
  std::vector<float> samples = {
      0.0f,           1.0f,           65504.0f,       65519.996f,     65520.0f,
      3e38f,          1e-45f,         5.9604645e-08f, 2.9802322e-08f, 2.98023259e-08f,
      6.1035156e-05f, 6.1005353e-05f, 1.00048828125f, 1.00146484375f, 1.00390625f,
      1.01171875f};
  const std::vector<float> random = RandomFloats(20000, 1);
  for (size_t i = 0; i + 1 < random.size(); i += 2) {
    samples.push_back(std::ldexp(std::fabs(random[i]), static_cast<int>(random[i + 1] * 40)));
  }
  return samples;
}

template <typename From>
void ExpectNearest(From from, float x, uint16_t narrow) {
  // Neighbours in the order of the bits are neighbours in size.
  const float value = from(narrow);
  const float error = std::fabs(value - x);
  for (const int step : {-1, 1}) {
    const auto neighbour = static_cast<uint16_t>(narrow + step);
    if (neighbour > 0x8000 || !std::isfinite(from(neighbour)) || !std::isfinite(value)) continue;
    const float other = std::fabs(from(neighbour) - x);
    EXPECT_LE(error, other) << x;
    if (error == other) {
      EXPECT_EQ(narrow % 2, 0) << "a tie goes to the even one: " << x;
    }
  }
}

TEST(FloatFormats, RoundToTheNearest) {
  for (const float x : Samples()) {
    ExpectNearest(FromF16, x, ToF16(x));
    ExpectNearest(FromBf16, x, ToBf16(x));
    EXPECT_EQ(ToF16(-x), ToF16(x) ^ 0x8000);
    EXPECT_EQ(ToBf16(-x), ToBf16(x) ^ 0x8000);
  }
}

TEST(FloatFormats, KeepEveryNarrowValue) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto narrow = static_cast<uint16_t>(bits);
    if (std::isnan(FromF16(narrow))) {
      EXPECT_TRUE(std::isnan(FromF16(ToF16(FromF16(narrow)))));
    } else {
      EXPECT_EQ(ToF16(FromF16(narrow)), narrow);
    }
    if (std::isnan(FromBf16(narrow))) {
      EXPECT_TRUE(std::isnan(FromBf16(ToBf16(FromBf16(narrow)))));
    } else {
      EXPECT_EQ(ToBf16(FromBf16(narrow)), narrow);
    }
  }
}

TEST(FloatFormats, OverflowToInfinity) {
  EXPECT_EQ(FromF16(ToF16(65519.0f)), 65504.0f);
  EXPECT_EQ(FromF16(ToF16(65520.0f)), kInfinity);
  EXPECT_EQ(FromF16(ToF16(-kInfinity)), -kInfinity);
  EXPECT_EQ(FromBf16(ToBf16(std::numeric_limits<float>::max())), kInfinity);
}

TEST(FloatFormats, Q8IsWithinHalfAStep) {
  for (int seed = 0; seed < 50; ++seed) {
    std::vector<float> x = RandomFloats(kQ8Block, 100 + seed);
    for (float& value : x) value *= std::ldexp(1.0f, seed % 16 - 4);
    const Q8Block block = ToQ8(x.data());
    const float step = FromF16(block.scale);
    for (int i = 0; i < kQ8Block; ++i) {
      // Half a step, and what rounding the scale itself (a normal half) adds at full deflection.
      EXPECT_NEAR(step * block.values[i], x[i], step * (0.5f + 127.0f / 2048)) << seed;
    }
  }
  const std::vector<float> zeros(kQ8Block);
  const Q8Block block = ToQ8(zeros.data());
  for (const int8_t value : block.values) EXPECT_EQ(value, 0);
}

}  // namespace float_formats_test
}  // namespace ponder::kernels
