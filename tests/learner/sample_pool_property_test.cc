// The sample pool under fire: several actors as threads with random timings, which die, hang and
// lose verifiers, and a learner that resumes. Whatever happens, samples stay fresh, each counts
// once, and every lease is accounted for.
#include <atomic>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "base/steady_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "learner/sample_pool.h"
#include "tests/learner/pool_fixture.h"

namespace ponder::learner {
namespace sample_pool_property_test {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using StepKeys = std::vector<std::vector<SampleKey>>;

constexpr absl::Duration kPatience = absl::Seconds(60);  // far longer than anything here takes

struct Chaos {
  uint64_t seed = 0;
  int actors = 3;
  double die = 0.05;    // chance to drop what was leased and come back as a new incarnation
  double hang = 0.05;   // chance to sit on one sample until its lease has expired
  double error = 0.05;  // chance that the verifier fails
};

// Leases, answers (with the oldest weights that the lease allows, the worst case) and submits until
// the run is finished.
void Act(SamplePool& pool, const Chaos& chaos, int id, std::atomic<int64_t>* incarnations) {
  Rng rng(chaos.seed, absl::StrCat("actor.", id));
  const std::string name = absl::StrCat("actor.", id);
  int64_t incarnation = ++*incarnations;
  while (true) {
    const auto batch =
        pool.LeaseSamples(name, incarnation, rng.NextInt(1, 7), SteadyNow() + kPatience);
    if (absl::IsUnavailable(batch.status())) return;  // closed
    ASSERT_TRUE(batch.ok()) << batch.status();
    if (batch->run_finished) return;
    ASSERT_FALSE(batch->leases.empty()) << "waited in vain";
    if (rng.NextUniform() < chaos.die) {
      incarnation = ++*incarnations;
      continue;
    }
    std::vector<Sample> samples;
    for (const Lease& lease : batch->leases) {
      if (rng.NextUniform() < chaos.hang) continue;
      samples.push_back(Answer(lease));
      if (rng.NextUniform() < chaos.error) {
        samples.back() = Answer(lease, lease.least_version, Verdict::Outcome::kError);
      }
      if (rng.NextUniform() < 0.05) samples.push_back(samples.back());  // twice
    }
    absl::SleepFor(absl::Microseconds(rng.NextInt(0, 500)));
    const auto results = pool.Submit(name, incarnation, samples);
    if (absl::IsUnavailable(results.status())) return;
    ASSERT_TRUE(results.ok()) << results.status();
    for (const auto& result : *results) {
      EXPECT_NE(result.outcome, SamplePool::SubmitOutcome::kRejected) << result.message;
    }
  }
}

class SamplePoolPropertyTest : public PoolFixture {
 protected:
  // Trains from `start` to `steps`, then finishes, or closes if `killed`. Appends the keys that
  // each step was trained on.
  void Train(const SamplePool::Options& options, const Chaos& chaos, int64_t prompts,
             const SamplePool::Position& start, int64_t steps, bool killed, StepKeys* trained) {
    auto pool = MakePool(options, prompts, start);
    std::vector<std::thread> actors;
    for (int id = 0; id < chaos.actors; ++id) {
      actors.emplace_back(Act, std::ref(*pool), chaos, id, &incarnations_);
    }
    Rng rng(chaos.seed, absl::StrCat("learner.", start.step));
    int64_t last_group = start.next_group_id - 1;
    for (int64_t step = start.step + 1; step <= steps; ++step) {
      const auto taken = pool->Take(SteadyNow() + kPatience);
      ASSERT_TRUE(taken.ok()) << taken.status();
      trained->emplace_back();
      for (const Group& group : taken->groups) {
        EXPECT_GT(group.group_id, last_group) << "lease order";
        last_group = group.group_id;
        ASSERT_EQ(static_cast<int64_t>(group.samples.size()), options.group_size);
        for (const Sample& sample : group.samples) {
          trained->back().push_back(sample.rollout.key);
          EXPECT_NE(sample.verdict.outcome, Verdict::Outcome::kError);
          // This update turns version step - 1 into version step.
          const int64_t staleness = step - 1 - sample.rollout.segments[0].weight_version;
          EXPECT_LE(staleness, options.max_staleness);
          EXPECT_GE(staleness, 0);
          stalest_ = std::max(stalest_, staleness);
        }
      }
      absl::SleepFor(absl::Microseconds(rng.NextInt(0, 2000)));
      ASSERT_TRUE(pool->Retire(step, step).ok());
    }
    if (killed) {
      pool->Close();
    } else {
      ASSERT_TRUE(pool->Finish().ok());
    }
    for (std::thread& actor : actors) actor.join();
  }

  // Compares the ledger with what the learner saw.
  void CheckBooks(const StepKeys& trained, bool finished) {
    std::set<SampleKey> once;
    size_t count = 0;
    for (const auto& step : trained) {
      count += step.size();
      once.insert(step.begin(), step.end());
    }
    EXPECT_EQ(once.size(), count) << "something was trained twice";
    EXPECT_THAT(Ask("select count(*), count(distinct prompt_id || '/' || sample_index) "
                    "from samples where state = 'trained'"),
                ElementsAre(absl::StrCat(count, "|", count)));
    for (size_t step = 0; step < trained.size(); ++step) {
      EXPECT_THAT(Ask(absl::StrCat("select count(*) from samples where trained_step = ", step + 1,
                                   " and state = 'trained'")),
                  ElementsAre(absl::StrCat(trained[step].size())));
    }
    if (!finished) return;
    EXPECT_THAT(Ask("select * from samples where state not in ('trained', 'dropped')"), IsEmpty());
    EXPECT_THAT(Ask("select count(*) = sum(state = 'trained') + sum(state = 'dropped') "
                    "from samples"),
                ElementsAre("1"));
    EXPECT_THAT(Ask("select distinct reason from samples where state = 'dropped' and reason not in "
                    "('degenerate', 'attempts_exhausted', 'run_finished', 'rolled_back')"),
                IsEmpty());
    EXPECT_THAT(Ask("select group_id from samples where state = 'trained' group by group_id, "
                    "resume having count(*) <> 4"),
                IsEmpty())
        << "groups are trained whole";
  }

  std::atomic<int64_t> incarnations_{0};
  int64_t stalest_ = 0;
};

SamplePool::Options Fast(int64_t max_staleness) {
  SamplePool::Options options;
  options.group_size = 4;
  options.groups_per_step = 5;
  options.max_staleness = max_staleness;
  options.lease = absl::Milliseconds(30);
  options.max_attempts = 6;
  options.max_degenerate_groups = 8;
  return options;
}

TEST_F(SamplePoolPropertyTest, FreshAndCountedOnceWhateverHappens) {
  for (int64_t max_staleness = 0; max_staleness <= 3; ++max_staleness) {
    Chaos chaos;
    chaos.seed = 100 + static_cast<uint64_t>(max_staleness);
    chaos.actors = 1 + static_cast<int>(max_staleness);
    SCOPED_TRACE(absl::StrCat("seed ", chaos.seed, ", max_staleness ", max_staleness));
    std::filesystem::remove(path());
    StepKeys trained;
    stalest_ = 0;
    Train(Fast(max_staleness), chaos, 37, {}, 25, /*killed=*/false, &trained);
    CheckBooks(trained, /*finished=*/true);
    if (max_staleness > 0) {
      EXPECT_GT(stalest_, 0) << "the test never came near the bound";
    }
  }
}

TEST_F(SamplePoolPropertyTest, ResumesCountOnceToo) {
  Chaos chaos;
  chaos.seed = 200;
  StepKeys trained;
  Train(Fast(1), chaos, 37, {}, 7, /*killed=*/true, &trained);
  // Each life begins at a checkpoint some steps before the end of the last one.
  for (const int64_t step : {5, 9}) {
    trained.resize(static_cast<size_t>(step));
    const std::string next =
        Ask(absl::StrCat("select max(group_id) + 1 from samples where state = "
                         "'trained' and trained_step <= ",
                         step))[0];
    Train(Fast(1), chaos, 37, {step, std::stoll(next), step}, step + 6, step == 5, &trained);
  }
  CheckBooks(trained, /*finished=*/true);
  EXPECT_THAT(Ask("select count(*) from lives"), ElementsAre("3"));
}

// max_staleness 0: the samples of each step do not depend on who draws them, when, or what breaks.
TEST_F(SamplePoolPropertyTest, SynchronousStepsArePureFunctionsOfSeedAndVerdicts) {
  for (const int64_t max_degenerate_groups : {1, 480}) {
    SamplePool::Options options = Fast(0);
    options.max_attempts = 1000;
    options.max_degenerate_groups = max_degenerate_groups;
    StepKeys expected;
    for (int actors = 1; actors <= 5; ++actors) {
      std::filesystem::remove(path());
      StepKeys trained;
      Chaos chaos;
      chaos.seed = 300 + static_cast<uint64_t>(actors);
      chaos.actors = actors;
      SCOPED_TRACE(absl::StrCat("seed ", chaos.seed));
      if (actors == 1) chaos.die = chaos.hang = chaos.error = 0;
      Train(options, chaos, 37, {}, 12, /*killed=*/false, &trained);
      if (actors == 1) expected = trained;
      EXPECT_TRUE(trained == expected);
    }
  }
}

}  // namespace sample_pool_property_test
}  // namespace ponder::learner
