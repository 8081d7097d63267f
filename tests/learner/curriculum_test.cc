// The curriculum: its estimates and shares against their formulas, and that a resumed run draws
// what the whole one would have drawn.
#include "learner/curriculum.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/steady_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/learner/pool_fixture.h"

namespace ponder::learner {
namespace curriculum_test {

// `count` prompts each of: "a" at levels 1 to 3, "b" at level 1; of a's second level `more`
// besides.
std::vector<Prompt> TwoSources(int64_t count, int64_t more = 0) {
  std::vector<Prompt> prompts;
  for (const auto& [source, levels] : {std::pair{"a", 3}, std::pair{"b", 1}}) {
    for (int level = 1; level <= levels; ++level) {
      const int64_t here = count + (level == 2 ? more : 0);
      for (int64_t i = 0; i < here; ++i) {
        prompts.push_back(
            {absl::StrCat(source, level, "-", i), "math", {{"user", "?"}}, "1", source, level});
      }
    }
  }
  return prompts;
}

Curriculum::Options Adapting() {
  Curriculum::Options options;
  options.adapt = true;
  return options;
}

Curriculum::Domain Of(const Curriculum& curriculum, const std::string& source, int level) {
  for (const Curriculum::Domain& domain : curriculum.domains()) {
    if (domain.source == source && domain.level == level) return domain;
  }
  ADD_FAILURE() << "no domain " << source << " " << level;
  return {};
}

// Opens, scores and settles one group; `correct` of 8 by source and level.
template <typename Correct>
int64_t OneGroup(Curriculum& curriculum, const std::vector<Prompt>& prompts, int64_t id,
                 Correct correct) {
  const PromptOrder::Place place = curriculum.Open(id);
  const Prompt& prompt = prompts[static_cast<size_t>(place.prompt)];
  curriculum.Score(id, correct(prompt));
  curriculum.Settle(id + 1);
  return place.prompt;
}

TEST(Curriculum, EstimatesAreAMeanThatBecomesAMovingAverage) {
  const std::vector<Prompt> prompts = TwoSources(5);
  Curriculum::Options options;  // in the order of the epochs
  options.rate = 0.25;
  Curriculum curriculum(options, 1, prompts, 8);
  std::map<std::string, std::vector<double>> seen;
  for (int64_t id = 0; id < 60; ++id) {
    const int64_t correct = (id * 5) % 9;
    const int64_t prompt =
        OneGroup(curriculum, prompts, id, [&](const Prompt&) { return correct; });
    const Prompt& drawn = prompts[static_cast<size_t>(prompt)];
    seen[absl::StrCat(drawn.source, drawn.difficulty)].push_back(correct / 8.0);
  }
  for (const Curriculum::Domain& domain : curriculum.domains()) {
    const std::vector<double>& x = seen[absl::StrCat(domain.source, domain.level)];
    ASSERT_EQ(domain.groups, static_cast<int64_t>(x.size()));
    // The mean of one half and the first, until there are 1 / rate; then exponential forgetting.
    double want = (0.5 + x[0] + x[1] + x[2]) / 4;
    for (size_t i = 3; i < x.size(); ++i) want = 0.75 * want + 0.25 * x[i];
    EXPECT_NEAR(domain.pass_rate, want, 1e-12);
    EXPECT_EQ(domain.share, 0);
  }
}

// The room that is left, times the chance that eight answers are not all right nor all wrong.
double Signal(double p) { return (1 - p) * (1 - std::pow(p, 8) - std::pow(1 - p, 8)); }

TEST(Curriculum, SharesFollowTheLearningSignal) {
  const std::vector<Prompt> prompts = TwoSources(100, /*more=*/300);
  Curriculum curriculum(Adapting(), 7, prompts, 8);
  std::map<std::string, int> drawn;
  constexpr int kWarmUp = 2000, kGroups = 4000;
  for (int64_t id = 0; id < kWarmUp + kGroups; ++id) {
    OneGroup(curriculum, prompts, id, [&](const Prompt& p) {
      if (id >= kWarmUp) ++drawn[absl::StrCat(p.source, p.difficulty)];
      return p.source == "b" ? 1 : 8 - 2 * p.difficulty;  // 1/8; 3/4, 1/2, 1/4
    });
  }
  const double a1 = Signal(0.75), a2 = Signal(0.5), a3 = Signal(0.25), b = Signal(0.125);
  ASSERT_GT(a3, a2) << "the best of a's levels";
  const double a = 0.8 * a3 / (a3 + b) / (a1 + 4 * a2 + a3);  // four times as many of the second
  const std::map<std::string, double> want = {{"a1", 0.1 / 3 + a * a1},
                                              {"a2", 0.1 / 3 + a * 4 * a2},
                                              {"a3", 0.1 / 3 + a * a3},
                                              {"b1", 0.1 + 0.8 * b / (a3 + b)}};
  for (const auto& [domain, share] : want) {
    EXPECT_NEAR(Of(curriculum, domain.substr(0, 1), domain[1] - '0').share, share, 1e-9) << domain;
    EXPECT_NEAR(drawn[domain] / double{kGroups}, share,
                4 * std::sqrt(share * (1 - share) / kGroups))
        << domain;
  }
}

TEST(Curriculum, WhatIsMasteredMakesRoomForWhatIsNot) {
  const std::vector<Prompt> prompts = TwoSources(50);
  Curriculum curriculum(Adapting(), 3, prompts, 8);
  for (int64_t id = 0; id < 600; ++id) {
    OneGroup(curriculum, prompts, id, [&](const Prompt& p) { return p.source == "a" ? 8 : 1; });
  }
  EXPECT_NEAR(Of(curriculum, "b", 1).share, 0.9, 0.01) << "all of the signal, and its floor";
  EXPECT_GT(Of(curriculum, "a", 1).share, 0.03) << "mastered ones still come now and then";
}

TEST(Curriculum, LevelsOpenAndClose) {
  const std::vector<Prompt> prompts = TwoSources(50);
  Curriculum curriculum(Adapting(), 3, prompts, 8);
  int64_t id = 0;
  const auto groups = [&](int64_t count, int32_t mastered) {
    for (const int64_t end = id + count; id < end; ++id) {
      OneGroup(curriculum, prompts, id,
               [&](const Prompt& p) { return p.difficulty <= mastered ? 4 : 0; });
    }
  };
  EXPECT_GT(Of(curriculum, "a", 3).share, 0) << "untried, so nothing speaks against it";
  groups(600, 0);
  EXPECT_EQ(Of(curriculum, "a", 2).share, 0) << "all wrong: the first level alone";
  EXPECT_EQ(Of(curriculum, "a", 3).share, 0);
  groups(600, 1);
  EXPECT_GT(Of(curriculum, "a", 2).share, 0) << "the first is learned: the second is tried";
  EXPECT_EQ(Of(curriculum, "a", 3).share, 0);
  groups(600, 3);
  EXPECT_GT(Of(curriculum, "a", 3).share, 0.1);
  double sum = 0;
  for (const Curriculum::Domain& domain : curriculum.domains()) sum += domain.share;
  EXPECT_NEAR(sum, 1, 1e-12);
}

TEST(Curriculum, WithNothingToLearnAllComeEvenly) {
  const std::vector<Prompt> prompts = TwoSources(50);
  Curriculum::Options options = Adapting();
  options.rate = 1;
  Curriculum curriculum(options, 3, prompts, 8);
  for (int64_t id = 0; id < 200; ++id) {
    OneGroup(curriculum, prompts, id, [&](const Prompt&) { return 8; });
  }
  EXPECT_EQ(Of(curriculum, "b", 1).share, 0.5);
  EXPECT_NEAR(Of(curriculum, "a", 2).share, 0.5 / 3, 1e-12);
}

TEST(Curriculum, EveryPromptOfADomainComesOnceAnEpoch) {
  const std::vector<Prompt> prompts = TwoSources(10);
  Curriculum curriculum(Adapting(), 5, prompts, 8);
  std::map<int64_t, std::set<int64_t>> first_samples;
  for (int64_t id = 0; id < 200; ++id) {
    const PromptOrder::Place place = curriculum.Open(id);
    EXPECT_TRUE(first_samples[place.prompt].insert(place.first_sample).second)
        << "a sample index twice";
    curriculum.Score(id, 4);
    curriculum.Settle(id + 1);
  }
  std::map<int32_t, std::set<size_t>> uses;
  for (const auto& [prompt, samples] : first_samples) {
    const Prompt& p = prompts[static_cast<size_t>(prompt)];
    if (p.source == "b") uses[p.difficulty].insert(samples.size());
  }
  // All ten as often as each other, but for an epoch that has begun.
  EXPECT_LE(*uses[1].rbegin() - *uses[1].begin(), 1u);
}

TEST(Curriculum, AStateOfOtherPromptsIsRefused) {
  const std::vector<Prompt> prompts = TwoSources(3), others = MakePrompts(4);
  const std::string state = Curriculum(Adapting(), 1, prompts, 8).State();
  EXPECT_TRUE(Curriculum(Adapting(), 1, prompts, 8).Restore(state).ok());
  EXPECT_EQ(Curriculum(Adapting(), 1, others, 8).Restore(state).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(Curriculum(Adapting(), 1, prompts, 8).Restore("{}").code(),
            absl::StatusCode::kDataLoss);
}

class CurriculumPool : public PoolFixture {
 protected:
  std::unique_ptr<SamplePool> Make(int64_t max_staleness, const SamplePool::Position& start) {
    SamplePool::Options options;
    options.group_size = 4;
    options.groups_per_step = 5;
    options.max_staleness = max_staleness;
    options.curriculum = Adapting();
    auto ledger = Ledger::Open(path());
    EXPECT_TRUE(ledger.ok()) << ledger.status();
    auto pool = SamplePool::Make(options, TwoSources(20), *std::move(ledger), start);
    EXPECT_TRUE(pool.ok()) << pool.status();
    return *std::move(pool);
  }
  // Steps until `steps`; what each was trained on. Leases `ahead` samples more than a step needs.
  static std::vector<std::string> Steps(SamplePool& pool, int64_t steps) {
    std::vector<std::string> trained;
    while (pool.position().step < steps) {
      while (true) {
        auto work = pool.LeaseSamples("actor", 1, 3, SteadyNow());
        EXPECT_TRUE(work.ok()) << work.status();
        if (work->leases.empty()) break;
        std::vector<Sample> samples;
        for (const Lease& lease : work->leases) samples.push_back(Answer(lease));
        EXPECT_TRUE(pool.Submit("actor", 1, std::move(samples)).ok());
      }
      auto taken = pool.Take(SteadyNow() + absl::Seconds(10));
      if (!taken.ok()) {
        ADD_FAILURE() << taken.status();
        break;
      }
      std::string step;
      for (const Group& group : taken->groups) {
        absl::StrAppend(&step, group.prompt.id, "#", group.samples[0].rollout.key.sample_index,
                        " ");
      }
      trained.push_back(step);
      const int64_t next = pool.position().step + 1;
      EXPECT_TRUE(pool.Retire(next, next).ok());
    }
    return trained;
  }
};

TEST_F(CurriculumPool, AResumedRunDrawsWhatTheWholeOneDraws) {
  std::vector<std::string> whole;
  {
    auto pool = Make(0, {});
    whole = Steps(*pool, 30);
  }
  std::filesystem::remove_all(folder_);
  ASSERT_EQ(mkdir(folder_.c_str(), 0700), 0);
  SamplePool::Position checkpoint;
  std::vector<std::string> parts;
  {
    auto pool = Make(0, {});
    parts = Steps(*pool, 11);
    checkpoint = pool->position();
    Steps(*pool, 13);  // lost
    ASSERT_TRUE(pool->LeaseSamples("actor", 1, 7, SteadyNow()).ok());
    pool->Close();
  }
  auto pool = Make(0, checkpoint);
  for (const std::string& step : Steps(*pool, 30)) parts.push_back(step);
  EXPECT_THAT(parts, ::testing::ElementsAreArray(whole));
  EXPECT_EQ(Of(Curriculum(Adapting(), 1, TwoSources(20), 4), "a", 1).groups, 0);
  for (const Curriculum::Domain& domain : pool->domains()) {
    EXPECT_GT(domain.groups, 0) << domain.source << domain.level;
  }
}

// With groups in flight at the checkpoint, their prompts come again; no sample index twice.
TEST_F(CurriculumPool, WhatWasInFlightIsDrawnAgain) {
  auto pool = Make(2, {});
  Steps(*pool, 9);
  const SamplePool::Position checkpoint = pool->position();
  ASSERT_TRUE(pool->LeaseSamples("actor", 1, 20, SteadyNow()).ok());
  pool->Close();
  pool = Make(2, checkpoint);
  Steps(*pool, 20);
  EXPECT_THAT(Ask("select prompt_id, sample_index, count(*) from samples where state = 'trained' "
                  "group by 1, 2 having count(*) > 1"),
              ::testing::IsEmpty());
}

}  // namespace curriculum_test
}  // namespace ponder::learner
