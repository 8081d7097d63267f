// Sampling by inversion against the cumulative distribution in double precision; the log-prob
// against the learner's, bit for bit.
#include "moe/kernels/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "moe/kernels/elementwise.h"
#include "tests/moe/kernels/random_floats.h"

namespace ponder::kernels {
namespace {

std::vector<float> Logits(int64_t vocab, uint32_t seed, float width) {
  std::vector<float> logits = RandomFloats(vocab, seed);
  for (float& x : logits) x *= width;
  return logits;
}

SampledToken Sample(const std::vector<float>& logits, const SamplingOptions& options,
                    float uniform) {
  std::vector<float> scratch(2 * logits.size());
  return SampleToken(logits.data(), static_cast<int64_t>(logits.size()), options, uniform,
                     scratch.data());
}

// The nucleus' distribution, zero outside of it.
std::vector<double> Distribution(const std::vector<float>& logits, const SamplingOptions& options) {
  const size_t n = logits.size();
  std::vector<double> p(n);
  double z = 0;
  for (size_t i = 0; i < n; ++i) z += p[i] = std::exp(double{logits[i]} / options.temperature);
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] > p[b]; });
  double sum = 0;
  for (const size_t i : order) {
    if (sum / z >= options.top_p) p[i] = 0;
    sum += p[i];
  }
  const double kept = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= kept;
  return p;
}

TEST(SampleToken, InvertsTheCumulativeDistribution) {
  for (const int64_t vocab : {1, 2, 40, 257, 3000}) {
    for (const float width : {1.0f, 15.0f}) {
      for (const SamplingOptions options :
           {SamplingOptions{1, 1}, SamplingOptions{0.6f, 0.95f}, SamplingOptions{1.3f, 0.3f}}) {
        const std::vector<float> logits = Logits(vocab, 1, width);
        const std::vector<double> p = Distribution(logits, options);
        std::vector<float> uniforms = RandomFloats(100, 2);
        uniforms.insert(uniforms.end(), {0.0f, 0.99999994f});
        for (float u : uniforms) {
          u = std::abs(u);
          const int32_t token = Sample(logits, options, u).token;
          const double before = std::accumulate(p.begin(), p.begin() + token, 0.0);
          // Rounding moves the borders of a token's interval, and may move the border of the
          // nucleus by a token.
          EXPECT_LE(before, u + 1e-4) << vocab << " " << width;
          EXPECT_GE(before + p[token], u - 1e-4) << vocab << " " << width;
        }
      }
    }
  }
}

TEST(SampleToken, RecordsTheLogProbThatTheLearnerRecomputes) {
  ThreadPool pool(2);
  for (const int64_t vocab : {7, 100, 5000}) {
    for (const SamplingOptions options :
         {SamplingOptions{1, 1}, SamplingOptions{0.7f, 0.9f}, SamplingOptions{0, 1}}) {
      for (uint32_t seed = 0; seed < 50; ++seed) {
        const std::vector<float> logits = Logits(vocab, seed, 8);
        const SampledToken sampled = Sample(logits, options, 0.02f * static_cast<float>(seed));
        float logprob = 0;
        LogSoftmaxStats(pool, logits.data(), 1, vocab,
                        options.temperature == 0 ? 1 : options.temperature, &sampled.token, nullptr,
                        nullptr, &logprob);
        EXPECT_EQ(sampled.logprob, logprob);
      }
    }
  }
}

TEST(SampleToken, IsTheFirstBestWhenGreedy) {
  std::vector<float> logits = Logits(1000, 4, 5);
  logits[333] = logits[777] = 9;
  EXPECT_EQ(Sample(logits, {0, 1}, 0.9f).token, 333);
}

TEST(SampleToken, KeepsTheTokenThatCrossesTopPAndGivesTiesToTheLowerIndex) {
  const std::vector<float> logits(10, 2);  // a tenth each
  std::vector<int> seen(10);
  for (int i = 0; i < 1000; ++i) ++seen[Sample(logits, {1, 0.35f}, i / 1000.0f).token];
  for (int i = 0; i < 10; ++i) EXPECT_NEAR(seen[i], i < 4 ? 250 : 0, 2) << i;
}

TEST(SampleToken, NeverPicksATokenOfNoProbability) {
  std::vector<float> logits(600, -INFINITY);
  logits[300] = 1;
  for (const float u : {0.0f, 0.5f, 0.99999994f}) {
    EXPECT_EQ(Sample(logits, {1, 1}, u).token, 300);
    EXPECT_EQ(Sample(logits, {1, 0.5f}, u).token, 300);
  }
  EXPECT_EQ(Sample(logits, {1, 1}, 0).logprob, 0);
}

}  // namespace
}  // namespace ponder::kernels
