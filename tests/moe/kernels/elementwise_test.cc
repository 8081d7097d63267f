// Row-wise kernels against the formulas in double precision; gradients against finite differences
// of those formulas.
#include "moe/kernels/elementwise.h"

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "moe/kernels/isa/table.h"
#include "moe/kernels/softmax.h"
#include "tests/moe/kernels/random_floats.h"

namespace ponder::kernels {
namespace elementwise_test {

constexpr int64_t kRows = 9;
const int64_t kLengths[] = {1, 15, 16, 31, 33, 64, 100, 129};

// d f / d x[i] by central differences in double precision.
double Slope(const std::function<double(const std::vector<double>&)>& f, std::vector<double> x,
             size_t i) {
  const double h = 1e-5;
  x[i] += h;
  const double above = f(x);
  x[i] -= 2 * h;
  return (above - f(x)) / (2 * h);
}

std::vector<double> Row(const std::vector<float>& x, int64_t i, int64_t n) {
  return {x.begin() + i * n, x.begin() + (i + 1) * n};
}

TEST(RmsNorm, ForwardIsTheFormulaAndARowStandsAlone) {
  ThreadPool pool(2);
  for (const int64_t h : kLengths) {
    const std::vector<float> x = RandomFloats(kRows * h, 1), w = RandomFloats(h, 2);
    std::vector<float> y(kRows * h), inv(kRows);
    RmsNormForward(pool, x.data(), w.data(), kRows, h, 1e-5f, y.data(), inv.data());
    for (int64_t i = 0; i < kRows; ++i) {
      double squares = 0;
      for (const double v : Row(x, i, h)) squares += v * v;
      const double scale = 1 / std::sqrt(squares / h + 1e-5);
      EXPECT_NEAR(inv[i], scale, 1e-5 * scale);
      for (int64_t j = 0; j < h; ++j) {
        ASSERT_NEAR(y[i * h + j], x[i * h + j] * scale * w[j], 1e-5);
      }
      std::vector<float> alone(x.begin() + i * h, x.begin() + (i + 1) * h);
      RmsNormForward(pool, alone.data(), w.data(), 1, h, 1e-5f, alone.data(), nullptr);
      EXPECT_TRUE(SameBits(alone.data(), &y[i * h], h)) << h;
    }
  }
}

TEST(RmsNorm, BackwardIsTheSlopeOfForward) {
  ThreadPool pool(1);
  const int64_t h = 21;
  const std::vector<float> x = RandomFloats(h, 3), w = RandomFloats(h, 4), dy = RandomFloats(h, 5);
  std::vector<float> y(h), dx(h), dw(h, 10), inv(1);
  RmsNormForward(pool, x.data(), w.data(), 1, h, 1e-5f, y.data(), inv.data());
  RmsNormBackward(pool, dy.data(), x.data(), w.data(), inv.data(), 1, h, dx.data(), dw.data());
  const auto loss = [&](const std::vector<double>& xw) {
    double squares = 0, sum = 0;
    for (int64_t j = 0; j < h; ++j) squares += xw[j] * xw[j];
    for (int64_t j = 0; j < h; ++j) {
      sum += dy[j] * xw[j] / std::sqrt(squares / h + 1e-5) * xw[h + j];
    }
    return sum;
  };
  std::vector<double> at(x.begin(), x.end());
  at.insert(at.end(), w.begin(), w.end());
  for (int64_t j = 0; j < h; ++j) {
    EXPECT_NEAR(dx[j], Slope(loss, at, j), 2e-5);
    EXPECT_NEAR(dw[j] - 10, Slope(loss, at, h + j), 2e-5);
  }
}

TEST(RmsNorm, BackwardKeepsItsBitsUnderThreads) {
  const int64_t t = 1500, h = 40;
  const std::vector<float> x = RandomFloats(t * h, 6), w = RandomFloats(h, 7);
  const std::vector<float> dy = RandomFloats(t * h, 8), inv = RandomFloats(t, 9);
  std::vector<float> dx[2], dw[2];
  for (int i = 0; i < 2; ++i) {
    ThreadPool pool(1 + 2 * i);
    dx[i].resize(t * h);
    dw[i].assign(h, 0.25f);
    RmsNormBackward(pool, dy.data(), x.data(), w.data(), inv.data(), t, h, dx[i].data(),
                    dw[i].data());
  }
  EXPECT_TRUE(SameBits(dx[0].data(), dx[1].data(), t * h));
  EXPECT_TRUE(SameBits(dw[0].data(), dw[1].data(), h));
  for (int64_t j = 0; j < h; ++j) {
    double sum = 0.25;
    for (int64_t i = 0; i < t; ++i) sum += double{dy[i * h + j]} * x[i * h + j] * inv[i];
    EXPECT_NEAR(dw[0][j], sum, 1e-3);
  }
}

TEST(Rope, RotatesPairsHalfAHeadApartAndBack) {
  ThreadPool pool(2);
  for (const int64_t d : {2, 8, 32, 64, 128}) {
    const int64_t half = d / 2, heads = 3, stride = heads * d + 5;
    std::vector<float> inv_freq(half);
    for (int64_t i = 0; i < half; ++i) inv_freq[i] = std::pow(10000.0f, -2.0f * i / d);
    std::vector<float> cos(50 * half), sin(50 * half);
    RopeTables(inv_freq.data(), half, 50, /*scale=*/1, cos.data(), sin.data());
    const std::vector<int32_t> positions = {0, 1, 7, 49};
    const std::vector<float> x = RandomFloats(4 * stride, 10);
    std::vector<float> y = x;
    Rope(pool, y.data(), stride, 4, heads, d, positions.data(), cos.data(), sin.data());
    for (int64_t t = 0; t < 4; ++t) {
      for (int64_t j = 0; j < stride; ++j) {
        const int64_t at = t * stride + j, i = j % d % half;
        if (j >= heads * d) {
          EXPECT_EQ(y[at], x[at]);
          continue;
        }
        const double angle = static_cast<float>(positions[t]) * inv_freq[i];
        const double other = j % d < half ? -x[at + half] : x[at - half];
        ASSERT_NEAR(y[at], x[at] * std::cos(angle) + other * std::sin(angle), 1e-6);
      }
    }
    Rope(pool, y.data(), stride, 4, heads, d, positions.data(), cos.data(), sin.data(), true);
    for (size_t j = 0; j < x.size(); ++j) ASSERT_NEAR(y[j], x[j], 1e-6);
  }
}

TEST(SwiGlu, IsTheFormulaAndItsSlope) {
  ThreadPool pool(2);
  for (const int64_t n : {1, 17, 100, 20000}) {
    std::vector<float> gate = RandomFloats(n, 11), up = RandomFloats(n, 12);
    const std::vector<float> dout = RandomFloats(n, 13);
    for (float& g : gate) g *= 12;
    gate[0] = -200;
    std::vector<float> out(n), dgate(n), dup(n);
    SwiGluForward(pool, gate.data(), up.data(), n, out.data());
    SwiGluBackward(pool, dout.data(), gate.data(), up.data(), n, dgate.data(), dup.data());
    for (int64_t i = 0; i < n; ++i) {
      const double g = gate[i], s = 1 / (1 + std::exp(-g));
      ASSERT_NEAR(out[i], g * s * up[i], 1e-6 * (1 + std::abs(g)));
      ASSERT_NEAR(dup[i], g * s * dout[i], 1e-6 * (1 + std::abs(g)));
      ASSERT_NEAR(dgate[i], dout[i] * up[i] * (s + g * s * (1 - s)), 2e-6) << g;
    }
  }
}

TEST(AddInPlace, Adds) {
  ThreadPool pool(3);
  const int64_t n = 50001;
  const std::vector<float> x = RandomFloats(n, 14), before = RandomFloats(n, 15);
  std::vector<float> y = before;
  AddInPlace(pool, y.data(), x.data(), n);
  for (int64_t i = 0; i < n; ++i) ASSERT_EQ(y[i], before[i] + x[i]);
}

TEST(LogSoftmax, IsTheFormulaAndARowStandsAlone) {
  ThreadPool pool(2);
  for (const int64_t v : kLengths) {
    for (const float temperature : {1.0f, 0.7f}) {
      std::vector<float> logits = RandomFloats(kRows * v, 16);
      for (float& x : logits) x *= 20;
      std::vector<int32_t> targets(kRows);
      for (int64_t i = 0; i < kRows; ++i) targets[i] = static_cast<int32_t>(i * 7 % v);
      std::vector<float> log_z(kRows), entropy(kRows), logprob(kRows);
      LogSoftmaxStats(pool, logits.data(), kRows, v, temperature, targets.data(), log_z.data(),
                      entropy.data(), logprob.data());
      for (int64_t i = 0; i < kRows; ++i) {
        double z = 0, e = 0;
        for (const double x : Row(logits, i, v)) z += std::exp(x / temperature);
        for (const double x : Row(logits, i, v)) {
          const double p = std::exp(x / temperature) / z;
          e -= p * std::log(p);
        }
        ASSERT_NEAR(log_z[i], std::log(z), 1e-5);
        ASSERT_NEAR(entropy[i], e, 1e-5);
        ASSERT_NEAR(logprob[i], logits[i * v + targets[i]] / temperature - std::log(z), 1e-5);
        EXPECT_EQ(SoftmaxOf(&logits[i * v], v, temperature).log_z, log_z[i]);
      }
    }
  }
}

TEST(LogSoftmax, CountsALogitOfMinusInfinityForNothing) {
  ThreadPool pool(1);
  const std::vector<float> logits = {1, -std::numeric_limits<float>::infinity(), 1};
  float log_z = 0, entropy = 0;
  LogSoftmaxStats(pool, logits.data(), 1, 3, 1, nullptr, &log_z, &entropy, nullptr);
  EXPECT_NEAR(log_z, 1 + std::log(2), 1e-6);
  EXPECT_NEAR(entropy, std::log(2), 1e-6);
}

TEST(LogSoftmax, BackwardIsTheSlopeOfTheLogProb) {
  ThreadPool pool(2);
  const int64_t t = 3, v = 37;
  const float temperature = 0.8f;
  std::vector<float> logits = RandomFloats(t * v, 17);
  const std::vector<float> original = logits, coef = {0.5f, -2, 0};
  const std::vector<int32_t> targets = {0, 36, 5};
  std::vector<float> log_z(t);
  LogSoftmaxStats(pool, logits.data(), t, v, temperature, nullptr, log_z.data(), nullptr, nullptr);
  LogSoftmaxBackward(pool, logits.data(), t, v, temperature, targets.data(), log_z.data(),
                     coef.data(), logits.data());
  for (int64_t i = 0; i < t; ++i) {
    const auto loss = [&](const std::vector<double>& x) {
      double z = 0;
      for (const double l : x) z += std::exp(l / temperature);
      return coef[i] * (x[targets[i]] / temperature - std::log(z));
    };
    for (int64_t j = 0; j < v; ++j) {
      EXPECT_NEAR(logits[i * v + j], Slope(loss, Row(original, i, v), j), 1e-5);
    }
  }
}

TEST(Exp, IsTheExponentialToThreeUlp) {
  std::vector<float> x;
  for (float v = -87.3f; v < 88.3f; v += 0.0137f) x.push_back(v);
  std::vector<float> y(x.size());
  isa::Kernels().exp_row(x.data(), static_cast<int64_t>(x.size()), 1, 0, 1, y.data());
  for (size_t i = 0; i < x.size(); ++i) {
    const double expected = std::exp(static_cast<double>(x[i]));
    ASSERT_NEAR(y[i] / expected, 1, 3 * 1.2e-7) << x[i];
  }
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> edges = {-inf, -1000, 0, 100, inf, NAN};
  isa::Kernels().exp_row(edges.data(), 6, 1, 0, 1, y.data());
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], 0);
  EXPECT_EQ(y[2], 1);
  EXPECT_EQ(y[3], inf);
  EXPECT_EQ(y[4], inf);
  EXPECT_TRUE(std::isnan(y[5]));
}

TEST(ElementwiseKernels, WithFmaAgreeOnEveryBitOfTheRowKernels) {
  const isa::KernelTable* a = isa::FindKernels("avx512");
  const isa::KernelTable* b = isa::FindKernels("avx2");
  if (a == nullptr || b == nullptr) GTEST_SKIP() << "this machine has not both";
  for (const int64_t n : kLengths) {
    const std::vector<float> x = RandomFloats(n, 18), y = RandomFloats(n, 19);
    std::vector<float> out[2], more[2];
    const isa::KernelTable* tables[] = {a, b};
    for (int i = 0; i < 2; ++i) {
      out[i].assign(n, 0);
      more[i].assign(n, 0.5f);
      tables[i]->exp_row(x.data(), n, 30, 1, 0.3f, out[i].data());
      tables[i]->rms_norm_backward_row(y.data(), x.data(), out[i].data(), 0.3f, n, out[i].data(),
                                       more[i].data());
      tables[i]->swiglu(out[i].data(), more[i].data(), n, out[i].data());
    }
    EXPECT_TRUE(SameBits(out[0].data(), out[1].data(), n)) << n;
    EXPECT_TRUE(SameBits(more[0].data(), more[1].data(), n)) << n;
    const isa::SoftmaxSums s = a->softmax_sums(x.data(), n, 3), t = b->softmax_sums(x.data(), n, 3);
    EXPECT_EQ(s.max, t.max);
    EXPECT_EQ(s.sum, t.sum);
    EXPECT_EQ(s.weighted, t.weighted);
    EXPECT_EQ(a->sum(x.data(), n), b->sum(x.data(), n));
    EXPECT_EQ(a->sum_of_squares(x.data(), n), b->sum_of_squares(x.data(), n));
  }
}

}  // namespace elementwise_test
}  // namespace ponder::kernels
