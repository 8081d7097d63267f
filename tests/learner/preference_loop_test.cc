// DPO and the Bradley-Terry reward model: closed forms, the equation at a real model, invariance,
// and that the preferred responses win.
#include "learner/preference_loop.h"

#include <cmath>
#include <vector>

#include "base/status.h"
#include "gtest/gtest.h"
#include "learner_fixture.h"

namespace ponder::learner {
namespace preference_loop_test {

TEST(PreferenceLoss, IsMinusLogSigmoid) {
  double slope = 0;
  EXPECT_DOUBLE_EQ(PreferenceLoss(0, &slope), std::log(2)) << "at the reference";
  EXPECT_DOUBLE_EQ(slope, -0.5);
  for (const double x : {-3.0, -0.2, 0.7, 5.0}) {
    EXPECT_NEAR(PreferenceLoss(x, &slope), -std::log(1 / (1 + std::exp(-x))), 1e-12);
    double ignored = 0;
    const double numeric =
        (PreferenceLoss(x + 1e-6, &ignored) - PreferenceLoss(x - 1e-6, &ignored)) / 2e-6;
    EXPECT_NEAR(slope, numeric, 1e-8);
  }
  EXPECT_NEAR(PreferenceLoss(-1000, &slope), 1000, 1e-9);
  EXPECT_EQ(PreferenceLoss(1000, &slope), 0);
  EXPECT_EQ(slope, 0);
}

std::vector<PreferencePair> RandomPairs(uint64_t seed, int64_t count) {
  Rng rng(seed, "pairs");
  std::vector<PreferencePair> pairs(count);
  for (PreferencePair& pair : pairs) {
    for (auto* tokens : {&pair.prompt, &pair.chosen, &pair.rejected}) {
      for (int64_t t = rng.NextInt(1, 9); t > 0; --t)
        tokens->push_back(static_cast<int32_t>(rng.NextInt(0, 46)));
    }
    pair.chosen.back() = 47;  // what there is to learn
  }
  return pairs;
}

struct Course {
  std::vector<PreferenceLoop::Report> reports;
};

Course Learn(bool dpo, int64_t steps, int ranks, int64_t max_tokens, double margin = 0) {
  Course course;
  std::vector<PreferencePair> pairs = RandomPairs(3, 12);
  for (PreferencePair& pair : pairs) pair.margin = margin;
  const auto statuses = OnRanks(ranks, 1, {}, [&](TestRank& rank) -> absl::Status {
    moe::Model model = TinyModel();
    if (!dpo) {
      PONDER_ASSIGN_OR_RETURN(model, WithScalarHead(model));
    }
    PONDER_ASSIGN_OR_RETURN(const auto decoder,
                            moe::Decoder::Make(model.config, *model.weights, {}));
    GradientStep step({}, *decoder, rank.mesh);
    PreferenceLoop::Options options;
    options.batch_size = 6;
    options.max_tokens_per_microbatch = max_tokens;
    PreferenceLoop loop(options, {}, pairs, *decoder, step, dpo ? rank.decoder.get() : nullptr,
                        rank.mesh, nullptr);
    for (int64_t i = 0; i < steps; ++i) {
      PONDER_ASSIGN_OR_RETURN(const PreferenceLoop::Report report, loop.Update(3e-3));
      if (rank.mesh.world->rank() == 0) course.reports.push_back(report);
    }
    return absl::OkStatus();
  });
  for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(course.reports.size(), static_cast<size_t>(steps));
  return course;
}

class Preferences : public testing::TestWithParam<bool> {};

TEST_P(Preferences, StartAtLogTwoAndPreferTheChosen) {
  const Course course = Learn(GetParam(), 60, 1, 16384);
  EXPECT_NEAR(course.reports.front().loss, std::log(2), 1e-5) << "at the reference, or a zero head";
  EXPECT_LT(course.reports.back().loss, 0.5 * std::log(2));
  EXPECT_NEAR(course.reports.back().accuracy, 1, 1e-9);
}

TEST_P(Preferences, MicroBatchesAndRanksDoNotMatter) {
  const Course whole = Learn(GetParam(), 4, 1, 16384);
  for (const auto& [ranks, max_tokens] : {std::pair<int, int64_t>{1, 1}, {1, 60}, {2, 40}}) {
    const Course parts = Learn(GetParam(), 4, ranks, max_tokens);
    for (int i = 0; i < 4; ++i) {
      EXPECT_NEAR(parts.reports[i].loss, whole.reports[i].loss, 1e-5 * whole.reports[i].loss);
      EXPECT_NEAR(parts.reports[i].grad_norm, whole.reports[i].grad_norm,
                  1e-4 * whole.reports[i].grad_norm);
      EXPECT_EQ(parts.reports[i].tokens, whole.reports[i].tokens);
    }
  }
}

TEST_P(Preferences, TheMarginIsSubtracted) {
  const Course course = Learn(GetParam(), 1, 1, 16384, 0.75);
  EXPECT_NEAR(course.reports.front().loss, std::log(1 + std::exp(0.75)), 1e-5);
  EXPECT_NEAR(course.reports.front().difference, -0.75, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(DpoAndRewardModel, Preferences, testing::Bool(),
                         [](const auto& info) { return info.param ? "dpo" : "rm"; });

}  // namespace preference_loop_test
}  // namespace ponder::learner
