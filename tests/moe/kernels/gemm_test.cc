// Products against sums in double precision; bits against other batches, strides, threads and
// instruction sets.
#include "moe/kernels/gemm.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "moe/kernels/isa/table.h"
#include "tests/moe/kernels/random_floats.h"

namespace ponder::kernels {
namespace gemm_test {

std::vector<float> Product(ThreadPool& pool, const std::vector<float>& a,
                           const std::vector<float>& b, int64_t m, int64_t k, int64_t n) {
  PackedMatrix packed;
  packed.Pack(pool, b.data(), k, n, n, 1);
  std::vector<float> c(m * n, NAN);
  Gemm(pool, a.data(), k, 1, m, packed, c.data(), n);
  return c;
}

std::vector<float> Transposed(const std::vector<float>& a, int64_t rows, int64_t columns) {
  std::vector<float> out(a.size());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) out[j * rows + i] = a[i * columns + j];
  }
  return out;
}

class GemmShapes : public testing::TestWithParam<std::tuple<int, int, int>> {};

TEST_P(GemmShapes, IsTheSumOfProducts) {
  const auto [m, k, n] = GetParam();
  ThreadPool pool(2);
  const std::vector<float> a = RandomFloats(m * k, 1);
  const std::vector<float> b = RandomFloats(k * n, 2);
  const std::vector<float> c = Product(pool, a, b, m, k, n);
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int kk = 0; kk < k; ++kk) sum += double{a[i * k + kk]} * b[kk * n + j];
      ASSERT_NEAR(c[i * n + j], sum, 1e-6 * (1 + k)) << i << ", " << j;
    }
  }
}

TEST_P(GemmShapes, KeepsItsBitsUnderTransposedStorage) {
  const auto [m, k, n] = GetParam();
  ThreadPool pool(1);
  const std::vector<float> a = RandomFloats(m * k, 3);
  const std::vector<float> b = RandomFloats(k * n, 4);
  const std::vector<float> expected = Product(pool, a, b, m, k, n);
  const std::vector<float> at = Transposed(a, m, k);
  const std::vector<float> bt = Transposed(b, k, n);
  PackedMatrix packed;
  packed.Pack(pool, bt.data(), k, n, 1, k);
  std::vector<float> c(m * n, NAN);
  Gemm(pool, at.data(), 1, m, m, packed, c.data(), n);
  EXPECT_TRUE(SameBits(c.data(), expected.data(), m * n));
}

TEST_P(GemmShapes, GivesARowTheSameBitsInEveryBatchAndOnEveryThread) {
  const auto [m, k, n] = GetParam();
  ThreadPool one(1);
  ThreadPool two(2);
  const std::vector<float> a = RandomFloats(m * k, 5);
  const std::vector<float> b = RandomFloats(k * n, 6);
  const std::vector<float> expected = Product(one, a, b, m, k, n);
  EXPECT_TRUE(SameBits(Product(two, a, b, m, k, n).data(), expected.data(), m * n));
  for (int i = 0; i < m; i += 1 + m / 5) {
    const std::vector<float> row(a.begin() + i * k, a.begin() + (i + 1) * k);
    EXPECT_TRUE(SameBits(Product(one, row, b, 1, k, n).data(), &expected[i * n], n)) << i;
  }
}

TEST_P(GemmShapes, ContinuesTheChainWhenAccumulating) {
  const auto [m, k, n] = GetParam();
  if (k < 2) return;
  ThreadPool pool(2);
  const std::vector<float> a = RandomFloats(m * k, 7);
  const std::vector<float> b = RandomFloats(k * n, 8);
  const std::vector<float> expected = Product(pool, a, b, m, k, n);
  const int half = k / 2;
  PackedMatrix first, second;
  first.Pack(pool, b.data(), half, n, n, 1);
  second.Pack(pool, b.data() + half * n, k - half, n, n, 1);
  std::vector<float> c(m * n, NAN);
  Gemm(pool, a.data(), k, 1, m, first, c.data(), n);
  Gemm(pool, a.data() + half, k, 1, m, second, c.data(), n, true);
  EXPECT_TRUE(SameBits(c.data(), expected.data(), m * n));
}

INSTANTIATE_TEST_SUITE_P(Edges, GemmShapes,
                         testing::Values(std::make_tuple(1, 1, 1), std::make_tuple(1, 128, 512),
                                         std::make_tuple(2, 37, 31), std::make_tuple(3, 64, 129),
                                         std::make_tuple(4, 16, 32), std::make_tuple(7, 5, 33),
                                         std::make_tuple(12, 100, 100), std::make_tuple(13, 64, 16),
                                         std::make_tuple(16, 1, 80), std::make_tuple(64, 128, 128),
                                         std::make_tuple(97, 1100, 70),
                                         std::make_tuple(200, 513, 257)));

TEST(Gemm, WritesNothingOutsideItsColumnsAndLeavesNoRowsAlone) {
  ThreadPool pool(1);
  const std::vector<float> b = RandomFloats(8 * 5, 9);
  const std::vector<float> a = RandomFloats(3 * 8, 10);
  PackedMatrix packed;
  packed.Pack(pool, b.data(), 8, 5, 5, 1);
  std::vector<float> c(3 * 9, 42);
  Gemm(pool, a.data(), 8, 1, 0, packed, c.data(), 9);
  for (float x : c) EXPECT_EQ(x, 42);
  Gemm(pool, a.data(), 8, 1, 3, packed, c.data(), 9);
  for (int i = 0; i < 3; ++i) {
    for (int j = 5; j < 9; ++j) EXPECT_EQ(c[i * 9 + j], 42);
  }
}

TEST(Gemm, IsZeroOrUnchangedWithoutDepth) {
  ThreadPool pool(1);
  PackedMatrix packed;
  packed.Pack(pool, nullptr, 0, 3, 3, 1);
  std::vector<float> c(6, 42);
  Gemm(pool, nullptr, 0, 1, 2, packed, c.data(), 3, true);
  EXPECT_EQ(c, std::vector<float>(6, 42));
  Gemm(pool, nullptr, 0, 1, 2, packed, c.data(), 3, false);
  EXPECT_EQ(c, std::vector<float>(6, 0));
}

TEST(GroupedGemm, GivesEachRowTheBitsOfItsExpertAlone) {
  constexpr int64_t kK = 48, kN = 80;
  const std::vector<int64_t> offsets = {0, 5, 5, 6, 130, 131};
  const int64_t rows = offsets.back();
  const std::vector<float> a = RandomFloats(rows * kK, 11);
  ThreadPool one(1);
  std::vector<PackedMatrix> experts(5);
  std::vector<const PackedMatrix*> b(5);
  for (int e = 0; e < 5; ++e) {
    if (e == 1) continue;
    experts[e].Pack(one, RandomFloats(kK * kN, 20 + e).data(), kK, kN, 1, kK);
    b[e] = &experts[e];
  }
  std::vector<float> expected(rows * kN);
  for (int e = 0; e < 5; ++e) {
    for (int64_t r = offsets[e]; r < offsets[e + 1]; ++r) {
      Gemm(one, &a[r * kK], kK, 1, 1, experts[e], &expected[r * kN], kN);
    }
  }
  for (int threads : {1, 2}) {
    ThreadPool pool(threads);
    std::vector<float> c(rows * kN, NAN);
    GroupedGemm(pool, a.data(), kK, offsets, b, c.data(), kN);
    EXPECT_TRUE(SameBits(c.data(), expected.data(), rows * kN)) << threads << " threads";
  }
}

// Against the definition: std::fma in ascending k.
TEST(GemmKernels, WithFmaGiveTheBitsOfTheChain) {
  constexpr int64_t kM = 17, kK = 700, kN = 45;
  const std::vector<float> a = RandomFloats(kM * kK, 12);
  const std::vector<float> b = RandomFloats(kK * kN, 13);
  ThreadPool pool(1);
  PackedMatrix packed;
  packed.Pack(pool, b.data(), kK, kN, kN, 1);
  AlignedBuffer scratch(isa::kTileRows * isa::kTileDepth);
  for (const char* name : {"avx512", "avx2", "generic"}) {
    const isa::KernelTable* table = isa::FindKernels(name);
    if (table == nullptr) continue;
    std::vector<float> c(kM * kN, NAN);
    table->gemm_tile({a.data(), kK, 1, kM, kK, kN, packed.type(), packed.panel(0), c.data(), kN,
                      false, scratch.data()});
    const bool fused = std::string(name) != "generic";
    for (int64_t i = 0; i < kM; ++i) {
      for (int64_t j = 0; j < kN; ++j) {
        float sum = 0;
        for (int64_t kk = 0; kk < kK; ++kk) {
          const float x = a[i * kK + kk], y = b[kk * kN + j];
          if (fused) {
            sum = std::fma(x, y, sum);
          } else {
            const volatile float product = x * y;
            sum += product;
          }
        }
        ASSERT_EQ(c[i * kN + j], sum) << name << " " << i << ", " << j;
      }
    }
  }
}

// What a narrow B stands for: its product with the identity.
std::vector<float> Widened(const PackedMatrix& packed) {
  ThreadPool pool(1);
  const int64_t k = packed.k();
  std::vector<float> identity(k * k);
  for (int64_t i = 0; i < k; ++i) identity[i * k + i] = 1;
  std::vector<float> out(k * packed.n());
  Gemm(pool, identity.data(), k, 1, k, packed, out.data(), packed.n());
  return out;
}

class NarrowWeights : public testing::TestWithParam<std::tuple<WeightType, int>> {};

TEST_P(NarrowWeights, AreTheNearestAndMultiplyAsFloatsWithTheSameBits) {
  const auto [type, k] = GetParam();
  constexpr int64_t kN = 141, kMost = 130;
  const std::vector<float> b = RandomFloats(k * kN, 30);
  ThreadPool one(1);
  PackedMatrix narrow, wide;
  narrow.Pack(one, b.data(), k, kN, kN, 1, type);
  const std::vector<float> values = Widened(narrow);
  for (int64_t j = 0; j < kN; ++j) {
    for (int64_t i = 0; i < k; ++i) {
      float most = 0;  // of the block that shares a scale
      for (int64_t r = i / 32 * 32; r < std::min<int64_t>(k, i / 32 * 32 + 32); ++r) {
        most = std::max(most, std::fabs(b[r * kN + j]));
      }
      // Half a step; the rounded scale may cut off the very end, by a quarter of a step more.
      const float step =
          type == WeightType::kBfloat16 ? std::fabs(b[i * kN + j]) / 256 : most / 127 * 0.76f;
      ASSERT_NEAR(values[i * kN + j], b[i * kN + j], step) << i << ", " << j;
    }
  }
  wide.Pack(one, values.data(), k, kN, kN, 1);
  const std::vector<float> a = RandomFloats(kMost * k, 31);
  std::vector<float> expected(kMost * kN, NAN);
  Gemm(one, a.data(), k, 1, kMost, wide, expected.data(), kN);
  for (const int threads : {1, 2}) {
    ThreadPool pool(threads);
    for (const int64_t m : {int64_t{1}, int64_t{7}, int64_t{64}, kMost}) {
      std::vector<float> c(m * kN, NAN);
      Gemm(pool, a.data(), k, 1, m, narrow, c.data(), kN);
      EXPECT_TRUE(SameBits(c.data(), expected.data(), m * kN)) << m << " rows";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, NarrowWeights,
                         testing::Combine(testing::Values(WeightType::kBfloat16, WeightType::kInt8),
                                          testing::Values(1, 32, 70, 300)));

// A row has the bits it has alone, in batches of 1, 7 and 64, whatever the instruction set and the
// type of the weights.
TEST(GemmKernels, GiveARowTheSameBitsInEveryBatch) {
  constexpr int64_t kK = 130, kN = 200;
  const std::vector<float> a = RandomFloats(64 * kK, 32);
  const std::vector<float> b = RandomFloats(kK * kN, 33);
  ThreadPool pool(1);
  AlignedBuffer scratch(isa::kTileRows * isa::kTileDepth);
  for (const WeightType type : {WeightType::kFloat32, WeightType::kBfloat16, WeightType::kInt8}) {
    PackedMatrix packed;
    packed.Pack(pool, b.data(), kK, kN, kN, 1, type);
    for (const char* name : {"avx512", "avx2", "generic"}) {
      const isa::KernelTable* table = isa::FindKernels(name);
      if (table == nullptr) continue;
      const auto multiply = [&](int64_t first, int64_t m) {
        std::vector<float> c(m * kN, NAN);
        table->gemm_tile({&a[first * kK], kK, 1, m, kK, kN, type, packed.panel(0), c.data(), kN,
                          false, scratch.data()});
        return c;
      };
      const std::vector<float> all = multiply(0, 64);
      for (int64_t i = 0; i < 64; ++i) {
        const int64_t first = std::min<int64_t>(i, 64 - 7);
        EXPECT_TRUE(SameBits(multiply(i, 1).data(), &all[i * kN], kN)) << name << " " << i;
        EXPECT_TRUE(SameBits(&multiply(first, 7)[(i - first) * kN], &all[i * kN], kN)) << name;
      }
    }
  }
}

TEST(GemmKernels, GenericIsAlwaysThereAndUnknownIsNot) {
  EXPECT_NE(isa::FindKernels("generic"), nullptr);
  EXPECT_EQ(isa::FindKernels("avx1024"), nullptr);
  EXPECT_STREQ(KernelName(), isa::Kernels().name);
}

TEST(PackRows, GivesThePanelsOfPack) {
  ThreadPool pool(2);
  for (const auto& [k, n] : {std::pair<int64_t, int64_t>{1, 1}, {3, 33}, {70, 31}, {129, 100}}) {
    // [out, in] as checkpoints have it.
    const std::vector<float> weight = RandomFloats(k * n, 5);
    const std::vector<float> a = RandomFloats(2 * k, 6);
    for (const WeightType type : {WeightType::kFloat32, WeightType::kBfloat16, WeightType::kInt8}) {
      PackedMatrix whole, rows;
      whole.Pack(pool, weight.data(), k, n, 1, k, type);
      Arena arena;
      const auto read = [&, k = k](int64_t first, int64_t count, float* scratch) -> const float* {
        if (first % 64 == 0) return weight.data() + first * k;
        std::copy_n(weight.data() + first * k, count * k, scratch);
        return scratch;
      };
      rows.PackRows(pool, read, k, n, type, &arena);
      std::vector<float> one(2 * n), other(2 * n);
      Gemm(pool, a.data(), k, 1, 2, whole, one.data(), n);
      Gemm(pool, a.data(), k, 1, 2, rows, other.data(), n);
      EXPECT_EQ(one, other) << k << " x " << n;
    }
  }
}

TEST(Arena, GivesZeroedPlacesOfTheirOwn) {
  Arena arena;
  std::vector<float*> places;
  constexpr int64_t kLarge = 20 << 20;  // more than a region
  for (const int64_t size : {int64_t{1}, int64_t{17}, kLarge, int64_t{5}}) {
    float* place = arena.Allocate(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(place) % 64, 0u);
    EXPECT_EQ(place[0], 0);
    EXPECT_EQ(place[size - 1], 0);
    place[0] = place[size - 1] = static_cast<float>(size);
    places.push_back(place);
  }
  EXPECT_EQ(places[0][0], 1);
  EXPECT_EQ(places[1][16], 17);
  EXPECT_EQ(places[2][kLarge - 1], static_cast<float>(kLarge));
}

}  // namespace gemm_test
}  // namespace ponder::kernels
