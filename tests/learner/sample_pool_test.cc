// The sample pool, one promise at a time; sample_pool_property_test.cc throws everything at it at
// once.
#include "learner/sample_pool.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/learner/pool_fixture.h"

namespace ponder::learner {
namespace sample_pool_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Outcome = SamplePool::SubmitOutcome;

const absl::Time kPast = absl::InfinitePast();  // "do not wait"
absl::Time fake_now = absl::FromUnixSeconds(1700000000);
absl::Time FakeClock() { return fake_now; }

SamplePool::Options Small() {
  SamplePool::Options options;
  options.group_size = 2;
  options.groups_per_step = 3;
  return options;
}

class SamplePoolTest : public PoolFixture {
 protected:
  static std::vector<Lease> LeaseNow(SamplePool& pool, const std::string& actor, int64_t n,
                                     int64_t incarnation = 1) {
    auto batch = pool.LeaseSamples(actor, incarnation, n, kPast);
    EXPECT_TRUE(batch.ok()) << batch.status();
    return batch.ok() ? batch->leases : std::vector<Lease>();
  }
  static std::vector<Outcome> SubmitAll(SamplePool& pool, const std::string& actor,
                                        const std::vector<Lease>& leases,
                                        Sample (*answer)(const Lease&) = MixedAnswer,
                                        int64_t incarnation = 1) {
    std::vector<Sample> samples;
    for (const Lease& lease : leases) samples.push_back(answer(lease));
    const auto results = pool.Submit(actor, incarnation, samples);
    EXPECT_TRUE(results.ok()) << results.status();
    std::vector<Outcome> outcomes;
    for (const auto& result : *results) outcomes.push_back(result.outcome);
    return outcomes;
  }
  static std::vector<int64_t> Ids(const SamplePool::Taken& taken) {
    std::vector<int64_t> ids;
    for (const Group& group : taken.groups) ids.push_back(group.group_id);
    return ids;
  }
  static Sample AllRight(const Lease& lease) {
    return Answer(lease, lease.least_version, Verdict::Outcome::kCorrect);
  }
  static Sample Broken(const Lease& lease) {
    return Answer(lease, lease.least_version, Verdict::Outcome::kError);
  }
};

TEST_F(SamplePoolTest, AStepFromPromptsToTrained) {
  auto pool = MakePool(Small(), 10);
  const auto batch = pool->LeaseSamples("actor.0", 1, 100, kPast);
  ASSERT_TRUE(batch.ok());
  ASSERT_EQ(batch->leases.size(), 6u) << "three slots of two samples";
  ASSERT_EQ(batch->prompts.size(), 3u);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(batch->leases[i].group_id, static_cast<int64_t>(i / 2));
    EXPECT_EQ(batch->leases[i].key.prompt_id, batch->prompts[i / 2].id);
    EXPECT_EQ(batch->leases[i].key.sample_index, static_cast<int64_t>(i % 2));
    EXPECT_EQ(batch->leases[i].attempt, 0);
    EXPECT_EQ(batch->leases[i].least_version, 0);
  }
  EXPECT_THAT(LeaseNow(*pool, "actor.0", 1), IsEmpty());
  EXPECT_THAT(SubmitAll(*pool, "actor.0", batch->leases),
              ElementsAre(Outcome::kAccepted, Outcome::kAccepted, Outcome::kAccepted,
                          Outcome::kAccepted, Outcome::kAccepted, Outcome::kAccepted));
  const auto taken = pool->Take(kPast);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_THAT(Ids(*taken), ElementsAre(0, 1, 2));
  EXPECT_EQ(taken->groups[1].samples[1].rollout.key, batch->leases[3].key);
  EXPECT_EQ(taken->groups[1].prompt.id, batch->prompts[1].id);
  EXPECT_THAT(LeaseNow(*pool, "actor.0", 1), IsEmpty()) << "slots are held while training";
  ASSERT_TRUE(pool->Retire(1, 5).ok());
  EXPECT_EQ(pool->position().step, 1);
  EXPECT_EQ(pool->position().next_group_id, 3);
  EXPECT_EQ(pool->position().version, 5);
  const std::vector<Lease> next = LeaseNow(*pool, "actor.0", 100);
  ASSERT_EQ(next.size(), 6u);
  EXPECT_EQ(next[0].group_id, 3);
  EXPECT_EQ(next[0].least_version, 5);
  EXPECT_THAT(Ask("select state, trained_step, count(*) from samples group by 1, 2 order by 1"),
              ElementsAre("open|-|6", "trained|1|6"));
}

TEST_F(SamplePoolTest, EveryPromptOncePerEpochInAnOrderOfTheSeed) {
  const auto order = [&](uint64_t seed) {
    SamplePool::Options options = Small();
    options.seed = seed;
    options.groups_per_step = 15;
    auto pool = MakePool(options, 5);
    std::vector<SampleKey> keys;
    for (const Lease& lease : LeaseNow(*pool, "actor.0", 1000)) keys.push_back(lease.key);
    pool.reset();
    std::filesystem::remove(path());
    return keys;
  };
  const std::vector<SampleKey> keys = order(7);
  ASSERT_EQ(keys.size(), 30u);
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::set<std::string> prompts;
    for (int64_t i = epoch * 10; i < epoch * 10 + 10; ++i) {
      prompts.insert(keys[i].prompt_id);
      EXPECT_EQ(keys[i].sample_index, epoch * 2 + i % 2);
    }
    EXPECT_EQ(prompts.size(), 5u);
  }
  EXPECT_EQ(keys, order(7));
  EXPECT_FALSE(keys == order(8));
  std::vector<std::string> first, second;
  for (int64_t i = 0; i < 10; ++i) {
    first.push_back(keys[i].prompt_id);
    second.push_back(keys[10 + i].prompt_id);
  }
  EXPECT_NE(first, second) << "each epoch has an order of its own";
}

TEST_F(SamplePoolTest, GroupsLeaveInLeaseOrder) {
  SamplePool::Options options = Small();
  options.max_staleness = 1;
  options.groups_per_step = 1;
  auto pool = MakePool(options, 10);
  const std::vector<Lease> leases = LeaseNow(*pool, "actor.0", 100);
  ASSERT_EQ(leases.size(), 4u);
  SubmitAll(*pool, "actor.0", {leases[2], leases[3]});
  const auto early = pool->Take(kPast);
  EXPECT_EQ(early.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(early.status().message()), HasSubstr("2 samples are in actors' hands"));
  SubmitAll(*pool, "actor.0", {leases[0], leases[1]});
  EXPECT_THAT(Ids(*pool->Take(kPast)), ElementsAre(0));
  EXPECT_EQ(pool->Take(kPast).status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(pool->Retire(1, 1).ok());
  EXPECT_THAT(Ids(*pool->Take(kPast)), ElementsAre(1));
}

TEST_F(SamplePoolTest, DegenerateGroupsPassTheirSlotOn) {
  auto pool = MakePool(Small(), 10);
  const std::vector<Lease> leases = LeaseNow(*pool, "actor.0", 100);
  SubmitAll(*pool, "actor.0", {leases[2], leases[3]}, AllRight);
  const std::vector<Lease> replacement = LeaseNow(*pool, "actor.0", 100);
  ASSERT_EQ(replacement.size(), 2u);
  EXPECT_EQ(replacement[0].group_id, 3);
  SubmitAll(*pool, "actor.0", {leases[0], leases[1], leases[4], leases[5]});
  SubmitAll(*pool, "actor.0", replacement);
  const auto taken = pool->Take(kPast);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_THAT(Ids(*taken), ElementsAre(0, 2, 3));
  EXPECT_EQ(taken->degenerate_groups, 1);
  EXPECT_EQ(taken->dropped_samples, 0);
  ASSERT_EQ(taken->dropped.size(), 2u);
  EXPECT_EQ(taken->dropped[0].rollout.key, leases[2].key);
  EXPECT_THAT(Ask("select distinct group_id from samples where reason = 'degenerate'"),
              ElementsAre("1"));
}

TEST_F(SamplePoolTest, TooManyDegenerateGroupsMakeAShortStep) {
  SamplePool::Options options = Small();
  options.max_degenerate_groups = 2;
  auto pool = MakePool(options, 20);
  // Two drops are made up for, the third and fourth are not: one group of the five is left.
  const auto answer = [&](const std::vector<Lease>& leases) {
    for (const Lease& lease : leases) {
      SubmitAll(*pool, "actor.0", {lease}, lease.group_id == 3 ? MixedAnswer : AllRight);
    }
    return leases.size();
  };
  EXPECT_EQ(answer(LeaseNow(*pool, "actor.0", 100)), 6u);
  EXPECT_EQ(answer(LeaseNow(*pool, "actor.0", 100)), 4u);
  EXPECT_THAT(LeaseNow(*pool, "actor.0", 100), IsEmpty());
  const auto taken = pool->Take(kPast);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_THAT(Ids(*taken), ElementsAre(3));
  EXPECT_EQ(taken->degenerate_groups, 4);
  EXPECT_EQ(taken->dropped.size(), 8u);
  EXPECT_THAT(LeaseNow(*pool, "actor.0", 100), IsEmpty())
      << "a short step holds all its slots, or the next would be sampled under its old weights";
  ASSERT_TRUE(pool->Retire(1, 1).ok());
  EXPECT_EQ(LeaseNow(*pool, "actor.0", 100).size(), 6u);
}

TEST_F(SamplePoolTest, AStepMayBeEmptyAndNeedsNoRetire) {
  SamplePool::Options options = Small();
  options.max_degenerate_groups = 0;
  auto pool = MakePool(options, 20);
  SubmitAll(*pool, "actor.0", LeaseNow(*pool, "actor.0", 100), AllRight);
  const auto none = pool->Take(kPast);
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_THAT(none->groups, IsEmpty());
  EXPECT_EQ(none->degenerate_groups, 3);
  EXPECT_EQ(pool->Take(kPast).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(LeaseNow(*pool, "actor.0", 100).size(), 6u);
}

TEST_F(SamplePoolTest, ARestartedActorLosesItsLeasesAtOnce) {
  auto pool = MakePool(Small(), 10);
  const std::vector<Lease> lost = LeaseNow(*pool, "actor.0", 3);
  LeaseNow(*pool, "actor.1", 1);
  const std::vector<Lease> again = LeaseNow(*pool, "actor.0", 3, /*incarnation=*/2);
  ASSERT_EQ(again.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(again[i].key, lost[i].key);
    EXPECT_EQ(again[i].attempt, 1);
  }
  EXPECT_EQ(pool->LeaseSamples("actor.0", 1, 3, kPast).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(SubmitAll(*pool, "actor.0", {lost[0]}), ElementsAre(Outcome::kExpired));
  EXPECT_THAT(SubmitAll(*pool, "actor.0", {lost[0]}, MixedAnswer, 2),
              ElementsAre(Outcome::kExpired))
      << "an old answer through the new process";
  EXPECT_THAT(SubmitAll(*pool, "actor.0", {again[0]}, MixedAnswer, 2),
              ElementsAre(Outcome::kAccepted));
  EXPECT_THAT(Ask("select count(*) from samples where return_reason = 'actor_restarted'"),
              ElementsAre("3"));
}

TEST_F(SamplePoolTest, ExpiredLeasesAreHandedOutAgain) {
  auto pool = MakePool(Small(), 10, {}, FakeClock);
  const std::vector<Lease> slow = LeaseNow(*pool, "actor.0", 6);
  EXPECT_EQ(slow[0].deadline_unix_ms, absl::ToUnixMillis(fake_now + absl::Minutes(2)));
  fake_now += absl::Minutes(2) - absl::Milliseconds(1);
  EXPECT_THAT(LeaseNow(*pool, "actor.1", 6), IsEmpty());
  fake_now += absl::Milliseconds(1);
  EXPECT_THAT(SubmitAll(*pool, "actor.0", {slow[5]}), ElementsAre(Outcome::kAccepted))
      << "late, but nobody else has it yet";
  const std::vector<Lease> again = LeaseNow(*pool, "actor.1", 2);
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again[0].key, slow[0].key);
  EXPECT_EQ(again[0].attempt, 1);
  EXPECT_THAT(SubmitAll(*pool, "actor.0", {slow[0]}), ElementsAre(Outcome::kExpired));
  EXPECT_THAT(SubmitAll(*pool, "actor.1", again),
              ElementsAre(Outcome::kAccepted, Outcome::kAccepted));
  EXPECT_THAT(SubmitAll(*pool, "actor.1", {again[0]}), ElementsAre(Outcome::kDuplicate));
}

TEST_F(SamplePoolTest, AVerifierErrorIsNotWrongAndIsTriedAgain) {
  SamplePool::Options options = Small();
  options.max_attempts = 3;
  auto pool = MakePool(options, 10);
  std::vector<Lease> leases = LeaseNow(*pool, "actor.0", 2);
  SubmitAll(*pool, "actor.0", {leases[0]});
  for (int32_t attempt = 0; attempt < 3; ++attempt) {
    EXPECT_EQ(leases[1].attempt, attempt);
    EXPECT_THAT(SubmitAll(*pool, "actor.0", {leases[1]}, Broken), ElementsAre(Outcome::kAccepted));
    const std::vector<Lease> again = LeaseNow(*pool, "actor.0", 1);
    ASSERT_EQ(again.size(), 1u);
    if (attempt < 2) {
      EXPECT_EQ(again[0].key, leases[1].key);
    } else {
      EXPECT_EQ(again[0].group_id, 1) << "the group was given up";
    }
    leases[1] = again[0];
  }
  EXPECT_THAT(Ask("select sample_index, reason from samples where group_id = 0 order by 1"),
              ElementsAre("0|attempts_exhausted", "1|attempts_exhausted"));
  const absl::Status missing = pool->Take(kPast).status();
  EXPECT_THAT(std::string(missing.message()), HasSubstr("sandbox is gone"));
}

TEST_F(SamplePoolTest, CountsASampleOnceEvenLongAfter) {
  auto pool = MakePool(Small(), 10);
  const std::vector<Lease> leases = LeaseNow(*pool, "actor.0", 6);
  SubmitAll(*pool, "actor.0", leases);
  EXPECT_THAT(SubmitAll(*pool, "actor.0", {leases[0]}), ElementsAre(Outcome::kDuplicate));
  ASSERT_TRUE(pool->Take(kPast).ok());
  EXPECT_THAT(SubmitAll(*pool, "actor.0", {leases[0]}), ElementsAre(Outcome::kDuplicate));
  ASSERT_TRUE(pool->Retire(1, 1).ok());
  EXPECT_THAT(SubmitAll(*pool, "actor.0", {leases[0]}), ElementsAre(Outcome::kDuplicate));
  // Twice in one call, the second when its group is already gone as degenerate.
  const std::vector<Lease> next = LeaseNow(*pool, "actor.0", 2);
  EXPECT_THAT(SubmitAll(*pool, "actor.0", {next[0], next[0], next[1], next[1]}, AllRight),
              ElementsAre(Outcome::kAccepted, Outcome::kDuplicate, Outcome::kAccepted,
                          Outcome::kDuplicate));
}

TEST_F(SamplePoolTest, RejectsRoutingThatIsNotOfTheModel) {
  SamplePool::Options options = Small();
  options.routing = moe::RoutingShape{{0, 1}, 2, 4};  // layers, experts a token, experts
  auto pool = MakePool(options, 10);
  const Lease lease = LeaseNow(*pool, "actor.0", 1)[0];
  Sample sample = Answer(lease);  // of three tokens
  const auto submit = [&](std::string routed_experts) {
    sample.rollout.routed_experts = std::move(routed_experts);
    return pool->Submit("actor.0", 1, {sample})->at(0);
  };
  EXPECT_THAT(submit("").message, HasSubstr("0 bytes, but 2 tokens"));
  EXPECT_THAT(submit(std::string("\0\1\2\3\0\1\2\4", 8)).message, HasSubstr("expert 4 of 4"));
  EXPECT_EQ(submit(std::string("\0\1\2\3\0\1\2\3", 8)).outcome, Outcome::kAccepted);
}

TEST_F(SamplePoolTest, RejectsWhatWasNeverLeasedSayingWhy) {
  auto pool = MakePool(Small(), 10, {4, 0, 4});
  const Lease lease = LeaseNow(*pool, "actor.0", 1)[0];
  const auto reject = [&](const std::string& actor, const Lease& wrong, int64_t version = 4) {
    const auto results =
        pool->Submit(actor, 1, {Answer(wrong, version, Verdict::Outcome::kCorrect)});
    EXPECT_EQ(results->at(0).outcome, Outcome::kRejected);
    return results->at(0).message;
  };
  Lease wrong = lease;
  wrong.attempt = 1;
  EXPECT_THAT(reject("actor.0", wrong), HasSubstr("attempt 1"));
  wrong = lease;
  wrong.key.prompt_id = "nonsense";
  EXPECT_THAT(reject("actor.0", wrong), HasSubstr("not in group 0"));
  wrong = lease;
  wrong.key.sample_index = 2;
  EXPECT_THAT(reject("actor.0", wrong), HasSubstr("not in group 0"));
  wrong = lease;
  wrong.group_id = 77;
  wrong.key.sample_index = 99;
  EXPECT_THAT(reject("actor.0", wrong), HasSubstr("never leased"));
  EXPECT_THAT(reject("actor.1", lease), HasSubstr("leased to 'actor.0'"));
  EXPECT_THAT(reject("actor.0", lease, 3), HasSubstr("weights 4 or newer"));
  EXPECT_THAT(SubmitAll(*pool, "actor.0", {lease}), ElementsAre(Outcome::kAccepted));
}

TEST_F(SamplePoolTest, AResumedRunGoesOnWhereTheCheckpointWas) {
  std::vector<Lease> third, in_flight;
  SamplePool::Position checkpoint;
  {
    auto pool = MakePool(Small(), 10);
    for (int64_t step = 1; step <= 2; ++step) {
      const std::vector<Lease> leases = LeaseNow(*pool, "actor.0", 100);
      if (step == 2) third = leases;
      SubmitAll(*pool, "actor.0", leases);
      ASSERT_TRUE(pool->Take(kPast).ok());
      ASSERT_TRUE(pool->Retire(step, step).ok());
      if (step == 1) checkpoint = pool->position();
    }
    in_flight = LeaseNow(*pool, "actor.0", 1);
  }
  auto pool = MakePool(Small(), 10, checkpoint);
  EXPECT_EQ(pool->position().step, 1);
  EXPECT_THAT(Ask("select trained_step, state, reason, count(*) from samples group by 1, 2, 3 "
                  "order by 1"),
              ElementsAre("-|dropped|rolled_back|1", "1|trained|-|6", "2|dropped|rolled_back|6"));
  const std::vector<Lease> again = LeaseNow(*pool, "actor.0", 100);
  ASSERT_EQ(again.size(), third.size());
  for (size_t i = 0; i < again.size(); ++i) {
    EXPECT_EQ(again[i].key, third[i].key);
    EXPECT_EQ(again[i].group_id, third[i].group_id);
    EXPECT_EQ(again[i].attempt, 1);
    EXPECT_EQ(again[i].least_version, 1);
  }
  EXPECT_THAT(SubmitAll(*pool, "actor.0", third),
              ElementsAre(Outcome::kExpired, Outcome::kExpired, Outcome::kExpired,
                          Outcome::kExpired, Outcome::kExpired, Outcome::kExpired))
      << "answers from the earlier life";
  EXPECT_THAT(SubmitAll(*pool, "actor.0", in_flight), ElementsAre(Outcome::kExpired));
  SubmitAll(*pool, "actor.0", again);
  ASSERT_TRUE(pool->Take(kPast).ok());
  ASSERT_TRUE(pool->Retire(2, 2).ok());
  EXPECT_THAT(Ask("select resume, count(*) from samples where state = 'trained' group by 1"),
              ElementsAre("0|6", "1|6"));
}

TEST_F(SamplePoolTest, FinishEndsWorkAndClosesTheBooks) {
  auto pool = MakePool(Small(), 10);
  std::thread waiting([&] {
    LeaseNow(*pool, "actor.1", 1);
    const auto batch = pool->LeaseSamples("actor.0", 1, 100, absl::InfiniteFuture());
    ASSERT_TRUE(batch.ok());
    const auto end = pool->LeaseSamples("actor.0", 1, 100, absl::InfiniteFuture());
    ASSERT_TRUE(end.ok());
    EXPECT_TRUE(end->run_finished);
    EXPECT_THAT(SubmitAll(*pool, "actor.0", {batch->leases[0]}), ElementsAre(Outcome::kExpired));
  });
  while (Ask("select count(*) from samples") != std::vector<std::string>{"6"}) {
    std::this_thread::yield();
  }
  ASSERT_TRUE(pool->Finish().ok());
  waiting.join();
  EXPECT_THAT(Ask("select state, reason, count(*) from samples group by 1, 2"),
              ElementsAre("dropped|run_finished|6"));
}

TEST_F(SamplePoolTest, CloseWakesEverybodyAndLeavesTheBooksOpen) {
  auto pool = MakePool(Small(), 10);
  const std::vector<Lease> leases = LeaseNow(*pool, "actor.0", 6);
  std::thread leasing([&] {
    EXPECT_EQ(pool->LeaseSamples("actor.0", 1, 1, absl::InfiniteFuture()).status().code(),
              absl::StatusCode::kUnavailable);
  });
  std::thread taking([&] {
    EXPECT_EQ(pool->Take(absl::InfiniteFuture()).status().code(), absl::StatusCode::kCancelled);
  });
  pool->Close();
  leasing.join();
  taking.join();
  EXPECT_EQ(pool->Submit("actor.0", 1, {MixedAnswer(leases[0])}).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_THAT(Ask("select state, count(*) from samples group by 1"), ElementsAre("open|6"));
}

TEST_F(SamplePoolTest, ALedgerThatCannotBeWrittenEndsTheRun) {
  auto pool = MakePool(Small(), 10);
  const std::vector<Lease> leases = LeaseNow(*pool, "actor.0", 6);
  Ask("drop table samples");
  const absl::Status failure = pool->Submit("actor.0", 1, {MixedAnswer(leases[0])}).status();
  EXPECT_THAT(std::string(failure.message()), HasSubstr(path()));
  EXPECT_EQ(pool->Take(absl::InfiniteFuture()).status(), failure);
  EXPECT_EQ(pool->LeaseSamples("actor.0", 1, 1, absl::InfiniteFuture()).status(), failure);
  EXPECT_EQ(pool->Finish(), failure);
}

TEST_F(SamplePoolTest, RefusesOptionsThatCannotWork) {
  const auto message = [&](const SamplePool::Options& options, int64_t prompts) {
    const auto pool = TryMakePool(options, prompts);
    EXPECT_EQ(pool.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(pool.status().message());
  };
  SamplePool::Options options = Small();
  EXPECT_THAT(message(options, 0), HasSubstr("no prompts"));
  options.group_size = 1;
  EXPECT_THAT(message(options, 3), HasSubstr("dynamic_sampling"));
  options = Small();
  options.lease = absl::ZeroDuration();
  EXPECT_THAT(message(options, 3), HasSubstr("lease"));
  auto ledger = Ledger::Open(path());
  std::vector<Prompt> twins = MakePrompts(2);
  twins[1].id = twins[0].id;
  EXPECT_THAT(
      std::string(SamplePool::Make(Small(), twins, *std::move(ledger), {}).status().message()),
      HasSubstr("two prompts have the id 'p0'"));
}

}  // namespace sample_pool_test
}  // namespace ponder::learner
