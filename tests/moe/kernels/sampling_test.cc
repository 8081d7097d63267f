// Sampling by inversion against the cumulative distribution in double precision; the log-prob
// against the learner's, bit for bit.
#include "moe/kernels/sampling.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "moe/kernels/elementwise.h"
#include "tests/moe/kernels/random_floats.h"

namespace ponder::kernels {
namespace sampling_test {

std::vector<float> Logits(int64_t vocab, uint32_t seed, float width) {
  std::vector<float> logits = RandomFloats(vocab, seed);
  for (float& x : logits) x *= width;
  return logits;
}

SampledToken Sample(const std::vector<float>& logits, const SamplingOptions& options, float uniform,
                    absl::Span<const int32_t> seen = {}) {
  std::vector<float> scratch((options.adjusts() ? 3 : 2) * logits.size());
  return SampleToken(logits.data(), static_cast<int64_t>(logits.size()), options, uniform,
                     scratch.data(), seen);
}

// What is drawn from, step by step as sampling.h states it, in double precision.
std::vector<double> Distribution(const std::vector<float>& logits, const SamplingOptions& options,
                                 absl::Span<const int32_t> seen = {}) {
  const size_t n = logits.size();
  std::vector<double> adjusted(logits.begin(), logits.end());
  for (const int32_t token : std::set<int32_t>(seen.begin(), seen.end())) {
    double& x = adjusted[static_cast<size_t>(token)];
    x = x > 0 ? x / options.repetition_penalty : x * options.repetition_penalty;
  }
  for (const auto& [token, bias] : options.logit_bias) adjusted[static_cast<size_t>(token)] += bias;
  std::vector<double> p(n);
  double z = 0;
  for (size_t i = 0; i < n; ++i) z += p[i] = std::exp(adjusted[i] / options.temperature);
  for (double& x : p) x /= z;
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] > p[b]; });
  const double best = p[order[0]];
  double left = 0;
  for (size_t i = 0; i < n; ++i) {
    const bool out = p[order[i]] < options.min_p * best ||
                     (options.top_k > 0 && static_cast<int64_t>(i) >= options.top_k);
    if (out) p[order[i]] = 0;
    left += p[order[i]];
  }
  double sum = 0;
  for (const size_t i : order) {
    if (sum / left >= options.top_p) p[i] = 0;
    sum += p[i];
  }
  const double kept = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= kept;
  return p;
}

SamplingOptions With(const std::function<void(SamplingOptions&)>& change) {
  SamplingOptions options;
  change(options);
  return options;
}

TEST(SampleToken, InvertsTheCumulativeDistribution) {
  for (const int64_t vocab : {1, 2, 40, 257, 3000}) {
    for (const float width : {1.0f, 15.0f}) {
      for (const SamplingOptions& options :
           {SamplingOptions{1, 1}, SamplingOptions{0.6f, 0.95f}, SamplingOptions{1.3f, 0.3f},
            With([](auto& o) { o.top_k = 5; }), With([](auto& o) { o.min_p = 0.2f; }),
            With([](auto& o) { o.top_k = 7, o.top_p = 0.8f, o.min_p = 0.01f; }),
            With([](auto& o) { o.repetition_penalty = 1.5f; }), With([](auto& o) {
              o.repetition_penalty = 0.8f, o.logit_bias = {{0, 3.f}, {0, 1.f}}, o.top_k = 20;
            })}) {
        const std::vector<float> logits = Logits(vocab, 1, width);
        const std::vector<int32_t> seen = {0, static_cast<int32_t>(vocab / 2), 0};
        const std::vector<double> p = Distribution(logits, options, seen);
        std::vector<float> uniforms = RandomFloats(100, 2);
        uniforms.insert(uniforms.end(), {0.0f, 0.99999994f});
        for (float u : uniforms) {
          u = std::abs(u);
          const SampledToken sampled = Sample(logits, options, u, seen);
          const int32_t token = sampled.token;
          EXPECT_NEAR(std::exp(sampled.drawn_logprob), p[token], 1e-4 + 0.02 * p[token]);
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
    for (const SamplingOptions& options :
         {SamplingOptions{1, 1}, SamplingOptions{0.7f, 0.9f}, SamplingOptions{0, 1}}) {
      for (uint32_t seed = 0; seed < 50; ++seed) {
        const std::vector<float> logits = Logits(vocab, seed, 8);
        const SampledToken sampled =
            Sample(logits, options, 0.02f * static_cast<float>(seed), {2, 5});
        const auto recomputed = [&](float temperature) {
          float logprob = 0;
          LogSoftmaxStats(pool, logits.data(), 1, vocab, temperature, &sampled.token, nullptr,
                          nullptr, &logprob);
          return logprob;
        };
        const float temperature = options.temperature == 0 ? 1 : options.temperature;
        EXPECT_EQ(sampled.logprob, recomputed(temperature));
        EXPECT_EQ(sampled.untempered_logprob, recomputed(1));
        const SampledToken forced = ForceToken(logits.data(), vocab, options, sampled.token);
        EXPECT_EQ(forced.token, sampled.token);
        EXPECT_EQ(forced.logprob, sampled.logprob);
        EXPECT_EQ(forced.drawn_logprob, 0);
      }
    }
  }
}

TEST(SampleToken, IsTheFirstBestWhenGreedy) {
  std::vector<float> logits = Logits(1000, 4, 5);
  logits[333] = logits[777] = 9;
  EXPECT_EQ(Sample(logits, {0, 1}, 0.9f).token, 333);
}

TEST(SampleToken, IsGreedyAfterPenaltyAndBias) {
  std::vector<float> logits(50, 0);
  logits[7] = 4, logits[9] = 3, logits[11] = -1;
  SamplingOptions options{0, 1};
  options.repetition_penalty = 2;
  EXPECT_EQ(Sample(logits, options, 0, {7}).token, 9);
  options.logit_bias = {{11, 5.f}};
  EXPECT_EQ(Sample(logits, options, 0, {7}).token, 11);
}

TEST(TopTokens, AreTheLikeliestInOrder) {
  for (const int64_t vocab : {1, 3, 400}) {
    std::vector<float> logits = Logits(vocab, 9, 4);
    if (vocab > 3) logits[20] = logits[10] = 50;
    std::vector<int32_t> order(static_cast<size_t>(vocab));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
    std::vector<std::pair<int32_t, float>> top(5, {-1, 0.f});
    TopTokens(logits.data(), vocab, absl::MakeSpan(top));
    for (int64_t i = 0; i < 5; ++i) {
      EXPECT_EQ(top[i].first, i < vocab ? order[i] : -1);
      if (i >= vocab) continue;
      EXPECT_EQ(top[i].second, ForceToken(logits.data(), vocab, {}, order[i]).logprob);
    }
  }
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

}  // namespace sampling_test
}  // namespace ponder::kernels
