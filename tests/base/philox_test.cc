#include "base/philox.h"

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace ponder {
namespace philox_test {

struct KnownAnswer {
  std::array<uint32_t, 4> counter;
  std::array<uint32_t, 2> key;
  std::array<uint32_t, 4> draws;
};

// philox4x32 with 10 rounds in kat_vectors of Random123 (D. E. Shaw Research).
TEST(Philox, KnownAnswersOfRandom123) {
  const KnownAnswer answers[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const KnownAnswer& answer : answers)
    EXPECT_EQ(Philox4x32(answer.counter, answer.key), answer.draws);
}

// From the FNV reference's test vectors.
TEST(StableHash, IsFnv1a) {
  EXPECT_EQ(StableHash(""), 0xcbf29ce484222325ull);
  EXPECT_EQ(StableHash("a"), 0xaf63dc4c8601ec8cull);
  EXPECT_EQ(StableHash("foobar"), 0x85944171f73967e8ull);
}

// Computed by a second implementation, in Python. A change of these numbers changes every run's
// samples.
TEST(SampleRng, StreamsNeverChange) {
  EXPECT_EQ(SampleRng(1, "gsm8k-1", 0).Uniform(0), 10281663 * 0x1p-24f);
  EXPECT_EQ(SampleRng(1, "gsm8k-1", 0).Uniform(1), 5742633 * 0x1p-24f);
  EXPECT_EQ(SampleRng(1, "gsm8k-1", 7).Uniform(1), 16339412 * 0x1p-24f);
  EXPECT_EQ(SampleRng(2, "gsm8k-1", 7).Uniform(1), 11258600 * 0x1p-24f);
  EXPECT_EQ(SampleRng(1, "gsm8k-2", 7).Uniform(1), 12713309 * 0x1p-24f);
  // Seeds, samples and positions beyond 32 bits.
  EXPECT_EQ(SampleRng((1ull << 63) + 5, "sum3-12", (1ll << 40) + 3).Uniform((1ll << 33) + 1),
            3240458 * 0x1p-24f);
}

TEST(SampleRng, IsAPureFunctionAndUniform) {
  const SampleRng rng(3, "p", 4);
  double sum = 0;
  constexpr int kDraws = 20000;
  std::vector<int> bins(16, 0);
  for (int t = 0; t < kDraws; ++t) {
    const float draw = rng.Uniform(t);
    ASSERT_GE(draw, 0);
    ASSERT_LT(draw, 1);
    ASSERT_EQ(draw, SampleRng(3, "p", 4).Uniform(t));
    sum += draw;
    ++bins[static_cast<int>(draw * 16)];
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 0.01);
  double chi_squared = 0;
  for (const int count : bins) chi_squared += std::pow(count - kDraws / 16.0, 2) / (kDraws / 16.0);
  EXPECT_LT(chi_squared, 37.7);  // 15 degrees of freedom, p = 0.001
}

TEST(Rng, StreamsNeverChange) {
  Rng rng(42, "init");
  for (const uint32_t draw : {0x68987c6du, 0xa10bd53eu, 0xb116c076u, 0x3ad25536u, 0x86c8914du,
                              0x99fea703u, 0x971788e7u, 0x70ee398fu}) {
    EXPECT_EQ(rng.NextU32(), draw);
  }
  EXPECT_EQ(Rng(42, "init").NextU64(), 0x68987c6da10bd53eull);
  EXPECT_NE(Rng(42, "init").NextU64(), Rng(42, "shuffle").NextU64());
  EXPECT_NE(Rng(42, "init").NextU64(), Rng(43, "init").NextU64());
}

TEST(Rng, IntegersCoverTheirRangeEvenly) {
  Rng rng(5, "integers");
  std::vector<int> counts(7, 0);
  constexpr int kDraws = 14000;
  for (int i = 0; i < kDraws; ++i) {
    const int64_t draw = rng.NextInt(-3, 3);
    ASSERT_GE(draw, -3);
    ASSERT_LE(draw, 3);
    ++counts[draw + 3];
  }
  double chi_squared = 0;
  for (const int count : counts) chi_squared += std::pow(count - kDraws / 7.0, 2) / (kDraws / 7.0);
  EXPECT_LT(chi_squared, 22.5);  // 6 degrees of freedom, p = 0.001
  EXPECT_EQ(rng.NextInt(9, 9), 9);
  std::set<bool> signs;
  for (int i = 0; i < 100; ++i) signs.insert(rng.NextInt(INT64_MIN, INT64_MAX) < 0);
  EXPECT_EQ(signs.size(), 2u);
  EXPECT_DEATH(rng.NextInt(2, 1), "empty range 2..1");
}

TEST(Rng, GaussianHasItsMoments) {
  Rng rng(6, "gaussian");
  constexpr int kDraws = 40000;
  double sums[5] = {};
  for (int i = 0; i < kDraws; ++i) {
    const double draw = rng.NextGaussian();
    ASSERT_TRUE(std::isfinite(draw));
    for (int power = 1; power <= 4; ++power) sums[power] += std::pow(draw, power) / kDraws;
  }
  EXPECT_NEAR(sums[1], 0, 0.02);
  EXPECT_NEAR(sums[2], 1, 0.03);
  EXPECT_NEAR(sums[3], 0, 0.06);
  EXPECT_NEAR(sums[4], 3, 0.2);
}

}  // namespace philox_test
}  // namespace ponder
