#include "reward/reward.h"

#include <cmath>
#include <vector>

#include "base/philox.h"
#include "gtest/gtest.h"

namespace ponder::reward {
namespace reward_test {

using Outcome = Verdict::Outcome;

Sample MakeSample(Outcome outcome, int64_t tokens = 1) {
  Sample sample;
  sample.verdict.outcome = outcome;
  sample.rollout.tokens.assign(tokens, 'x');
  return sample;
}

Group MakeGroup(std::vector<Sample> samples) {
  Group group;
  group.prompt.id = "p";
  group.samples = std::move(samples);
  return group;
}

TEST(OverlongPenalty, FollowsDapoAtTheBorders) {
  // The paper's own lengths: 16384 expected, 4096 of cache.
  const RewardOptions paper{20480, 4096};
  EXPECT_EQ(OverlongPenalty(0, paper), 0);
  EXPECT_EQ(OverlongPenalty(16384, paper), 0);
  EXPECT_EQ(OverlongPenalty(16385, paper), -1.0 / 4096);
  EXPECT_EQ(OverlongPenalty(18432, paper), -0.5);
  EXPECT_EQ(OverlongPenalty(20479, paper), -4095.0 / 4096);
  EXPECT_EQ(OverlongPenalty(20480, paper), -1);
  EXPECT_EQ(OverlongPenalty(20481, paper), -1);
  EXPECT_EQ(OverlongPenalty(1 << 30, paper), -1);
  EXPECT_EQ(OverlongPenalty(1 << 30, {20480, 0}), 0);
}

TEST(ScoreGroup, OneCorrectOfFour) {
  const auto scores =
      ScoreGroup(MakeGroup({MakeSample(Outcome::kWrong), MakeSample(Outcome::kCorrect),
                            MakeSample(Outcome::kUnparsable), MakeSample(Outcome::kTimeout)}),
                 {});
  ASSERT_EQ(scores.size(), 4u);
  // mean 1/4, population standard deviation sqrt(3)/4.
  const double deviation = std::sqrt(3) / 4 + 1e-6;
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(scores[i].correct, i == 1);
    EXPECT_EQ(scores[i].correctness, i == 1 ? 1 : 0);
    EXPECT_EQ(scores[i].reward, scores[i].correctness);
    EXPECT_NEAR(scores[i].advantage, (i == 1 ? 0.75 : -0.25) / deviation, 1e-15);
  }
}

TEST(ScoreGroup, LengthCountsAgainstCorrectAnswersToo) {
  const auto scores = ScoreGroup(
      MakeGroup({MakeSample(Outcome::kCorrect, 90), MakeSample(Outcome::kWrong, 100)}), {100, 20});
  EXPECT_EQ(scores[0].overlong, -0.5);
  EXPECT_EQ(scores[0].reward, 0.5);
  EXPECT_EQ(scores[0].correctness, 1);
  EXPECT_EQ(scores[1].overlong, -1);
  EXPECT_EQ(scores[1].reward, -1);
  EXPECT_NEAR(scores[0].advantage, 0.75 / (0.75 + 1e-6), 1e-15);
  EXPECT_NEAR(scores[1].advantage, -0.75 / (0.75 + 1e-6), 1e-15);
}

TEST(ScoreGroup, EqualRewardsHaveExactlyNoAdvantage) {
  for (int size = 1; size <= 9; ++size) {
    for (const Outcome outcome : {Outcome::kCorrect, Outcome::kWrong}) {
      // 0.9 and -0.1 aren't exact in binary: a careless mean is off by an ulp.
      const auto scores =
          ScoreGroup(MakeGroup(std::vector<Sample>(size, MakeSample(outcome, 91))), {100, 10});
      for (const Score& score : scores) EXPECT_EQ(score.advantage, 0) << size;
    }
  }
  EXPECT_TRUE(ScoreGroup(MakeGroup({}), {}).empty());
}

TEST(ScoreGroup, AGroupOfOneHasNoAdvantage) {
  const auto scores = ScoreGroup(MakeGroup({MakeSample(Outcome::kCorrect)}), {});
  ASSERT_EQ(scores.size(), 1u);
  EXPECT_EQ(scores[0].reward, 1);
  EXPECT_EQ(scores[0].advantage, 0);
}

TEST(ScoreGroup, AgreesWithAnObviousReference) {
  const uint64_t seed = 20240611;
  SCOPED_TRACE(seed);
  Rng rng(seed, "reward_test");
  for (int round = 0; round < 200; ++round) {
    const int64_t size = rng.NextInt(2, 64);
    const RewardOptions options{40, rng.NextInt(0, 39)};
    Group group = MakeGroup({});
    std::vector<long double> rewards;
    for (int64_t i = 0; i < size; ++i) {
      const bool correct = rng.NextInt(0, 1) == 1;
      const int64_t tokens = rng.NextInt(1, 45);
      group.samples.push_back(MakeSample(correct ? Outcome::kCorrect : Outcome::kWrong, tokens));
      long double penalty = 0;
      if (options.overlong_cache > 0 && tokens > 40 - options.overlong_cache) {
        penalty =
            tokens <= 40 ? (40.0L - options.overlong_cache - tokens) / options.overlong_cache : -1;
      }
      rewards.push_back((correct ? 1 : 0) + penalty);
    }
    long double sum = 0, squares = 0;
    for (const long double reward : rewards) sum += reward;
    for (const long double reward : rewards)
      squares += (reward - sum / size) * (reward - sum / size);
    const auto scores = ScoreGroup(group, options);
    for (int64_t i = 0; i < size; ++i) {
      const long double advantage = (rewards[i] - sum / size) / (std::sqrt(squares / size) + 1e-6L);
      EXPECT_NEAR(scores[i].reward, static_cast<double>(rewards[i]), 1e-15);
      EXPECT_NEAR(scores[i].advantage, static_cast<double>(advantage), 1e-9);
    }
  }
}

TEST(ScoreGroup, AVerifierErrorMustNotBeScored) {
  EXPECT_DEATH(ScoreGroup(MakeGroup({MakeSample(Outcome::kError)}), {}),
               "nothing is known about the answer");
}

Sample Scored(double score, Outcome outcome = Outcome::kScored) {
  Sample sample = MakeSample(outcome);
  sample.verdict.score = score;
  return sample;
}

TEST(ScoreGroup, AScoreIsAPartOfTheReward) {
  RewardOptions options;
  options.wrong = -1;
  options.preference_coef = 2;
  const auto scores =
      ScoreGroup(MakeGroup({Scored(0.75), Scored(-0.25, Outcome::kCorrect),
                            Scored(0.5, Outcome::kWrong), MakeSample(Outcome::kUnparsable)}),
                 options);
  const double correctness[] = {0, 1, -1, -1};
  const double preference[] = {1.5, -0.5, 1, -0.5};  // without a score: as the worst of the others
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(scores[i].correctness, correctness[i]) << i;
    EXPECT_EQ(scores[i].preference, preference[i]) << i;
    EXPECT_EQ(scores[i].reward, correctness[i] + preference[i]) << i;
    EXPECT_EQ(scores[i].correct, i == 1);
  }
}

TEST(IsDegenerate, ScoresThatDifferAreASignal) {
  EXPECT_TRUE(IsDegenerate({Scored(0.5), Scored(0.5)}));
  EXPECT_FALSE(IsDegenerate({Scored(0.5), Scored(0.25)}));
  EXPECT_FALSE(IsDegenerate({Scored(0.5, Outcome::kCorrect), Scored(0.25, Outcome::kCorrect)}));
  EXPECT_FALSE(IsDegenerate({Scored(0.5), MakeSample(Outcome::kUnparsable)}));
  EXPECT_FALSE(KnowsRightAndWrong({Scored(0.5), MakeSample(Outcome::kUnparsable)}));
  EXPECT_TRUE(KnowsRightAndWrong({Scored(0.5, Outcome::kWrong)}));
}

TEST(IsDegenerate, LooksAtAccuracyNotAtLength) {
  const Sample right = MakeSample(Outcome::kCorrect, 1),
               long_right = MakeSample(Outcome::kCorrect, 1000);
  const Sample wrong = MakeSample(Outcome::kWrong), unparsable = MakeSample(Outcome::kUnparsable);
  EXPECT_TRUE(IsDegenerate({right, long_right}));
  EXPECT_TRUE(IsDegenerate({wrong, unparsable, MakeSample(Outcome::kTimeout)}));
  EXPECT_FALSE(IsDegenerate({right, wrong}));
  EXPECT_FALSE(IsDegenerate({wrong, wrong, right}));
  EXPECT_TRUE(IsDegenerate({right}));
  EXPECT_TRUE(IsDegenerate({}));
}

}  // namespace reward_test
}  // namespace ponder::reward
