// Running moments against weighted sums over the whole stream, and scores of two sources on one
// scale.
#include "reward/normalisation.h"

#include <cmath>
#include <vector>

#include "base/philox.h"
#include "gtest/gtest.h"

namespace ponder::reward {
namespace normalisation_test {

// Mean and variance of `x` under the weights that the steps a_1, a_2, ... leave each number:
// a_i (1 - a_{i+1}) (1 - a_{i+2}) ...
std::pair<double, double> Weighted(const std::vector<double>& x, double rate) {
  std::vector<long double> weights(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    weights[i] = std::max(1.0L / (i + 1), static_cast<long double>(rate));
    for (size_t j = 0; j < i; ++j) weights[j] *= 1 - weights[i];
  }
  long double mean = 0, variance = 0;
  for (size_t i = 0; i < x.size(); ++i) mean += weights[i] * x[i];
  for (size_t i = 0; i < x.size(); ++i) variance += weights[i] * (x[i] - mean) * (x[i] - mean);
  return {static_cast<double>(mean), static_cast<double>(variance)};
}

TEST(RunningMoments, AreThoseOfTheWeightedStream) {
  const uint64_t seed = 20261127;
  SCOPED_TRACE(seed);
  Rng rng(seed, "running_moments");
  for (const double rate : {1e-9, 0.01, 0.3, 1.0}) {
    RunningMoments moments;
    std::vector<double> x;
    for (int i = 0; i < 300; ++i) {
      x.push_back(5 + 3 * rng.NextGaussian());
      moments.Learn(x.back(), rate);
      const auto [mean, variance] = Weighted(x, rate);
      ASSERT_EQ(moments.count, i + 1);
      ASSERT_NEAR(moments.mean, mean, 1e-12) << "rate " << rate << ", " << i;
      ASSERT_NEAR(moments.variance, variance, 1e-11) << "rate " << rate << ", " << i;
    }
  }
}

TEST(RunningMoments, FollowAStreamThatMoves) {
  RunningMoments moments;
  for (int i = 0; i < 1000; ++i) moments.Learn(0, 0.05);
  for (int i = 0; i < 200; ++i) moments.Learn(i % 2 == 0 ? 1 : 3, 0.05);
  EXPECT_NEAR(moments.mean, 2, 0.1);
  EXPECT_NEAR(moments.deviation(), 1, 0.05);
}

std::vector<Score> ScoresOf(const std::vector<double>& preferences) {
  std::vector<Score> scores;
  for (const double preference : preferences) {
    Score score;
    score.preference = preference;
    score.overlong = -0.25;
    scores.push_back(score);
  }
  return scores;
}

TEST(SourceNormaliser, PutsSourcesOnOneScale) {
  for (const auto kind : {SourceNormaliser::Kind::kNone, SourceNormaliser::Kind::kScale,
                          SourceNormaliser::Kind::kStandardise}) {
    SourceNormaliser normaliser({kind, 1e-6, 0.1});
    std::vector<Score> wide = ScoresOf({10, 30, 10, 30}), narrow = ScoresOf({1, 1.5, 1.5, 1}),
                       flat = ScoresOf({2, 2});
    normaliser.Learn("wide", wide);
    normaliser.Learn("narrow", narrow);
    normaliser.Learn("flat", flat);
    Normalise(normaliser.Of("wide"), &wide);
    Normalise(normaliser.Of("narrow"), &narrow);
    Normalise(normaliser.Of("flat"), &flat);
    const bool scales = kind != SourceNormaliser::Kind::kNone;
    const bool shifts = kind == SourceNormaliser::Kind::kStandardise;
    EXPECT_DOUBLE_EQ(wide[1].normalised, (30.0 - (shifts ? 20 : 0)) / (scales ? 10 : 1));
    EXPECT_DOUBLE_EQ(narrow[1].normalised, (1.5 - (shifts ? 1.25 : 0)) / (scales ? 0.25 : 1));
    EXPECT_DOUBLE_EQ(flat[0].normalised, (2.0 - (shifts ? 2 : 0)) / (scales ? 0.1 : 1));
    EXPECT_DOUBLE_EQ(narrow[1].reward, narrow[1].normalised - 0.25) << "length counts as ever";
    EXPECT_NEAR(wide[1].advantage, 1, 1e-5);
    EXPECT_EQ(flat[0].advantage, 0);
    // One that is seen for the first time stays as it is.
    EXPECT_EQ(normaliser.Of("other")(7), 7);
  }
}

TEST(SourceNormaliser, GoesOnFromItsMoments) {
  SourceNormaliser whole({SourceNormaliser::Kind::kStandardise, 0.01, 0.1});
  Rng rng(3, "goes_on");
  std::vector<std::vector<Score>> groups;
  for (int g = 0; g < 60; ++g) {
    groups.push_back(ScoresOf({rng.NextGaussian(), rng.NextGaussian(), rng.NextGaussian()}));
    whole.Learn(g % 2 == 0 ? "a" : "b", groups.back());
  }
  SourceNormaliser first({SourceNormaliser::Kind::kStandardise, 0.01, 0.1});
  for (int g = 0; g < 31; ++g) first.Learn(g % 2 == 0 ? "a" : "b", groups[g]);
  SourceNormaliser rest({SourceNormaliser::Kind::kStandardise, 0.01, 0.1}, first.moments());
  for (int g = 31; g < 60; ++g) rest.Learn(g % 2 == 0 ? "a" : "b", groups[g]);
  for (const char* source : {"a", "b"}) {
    EXPECT_EQ(whole.moments().at(source).mean, rest.moments().at(source).mean);
    EXPECT_EQ(whole.moments().at(source).variance, rest.moments().at(source).variance);
    EXPECT_EQ(whole.Of(source)(0.3), rest.Of(source)(0.3));
  }
}

}  // namespace normalisation_test
}  // namespace ponder::reward
