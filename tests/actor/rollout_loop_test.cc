// The rollout loop against a real pool over gRPC, with a real engine on a tiny random model and a
// scripted verifier.
#include "actor/rollout_loop.h"

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/philox.h"
#include "base/steady_clock.h"
#include "data/chat_format.h"
#include "deploy/local_links.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/convert.h"
#include "tests/actor/actor_fixture.h"

namespace ponder::actor {
namespace rollout_loop_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr absl::Duration kPatience = absl::Minutes(2);
constexpr int64_t kGroupSize = 4;
constexpr int64_t kGroups = 5;

// Right or wrong, as a function of the answer.
v1::Verdict ByHash(const v1::GradeRequest& request) {
  return Judged(StableHash(request.response()) % 2 == 0 ? v1::Verdict::CORRECT
                                                        : v1::Verdict::WRONG);
}

using Judge = std::function<v1::Verdict(const v1::GradeRequest&)>;

// Asks the script without a network.
class ScriptedVerifierLink final : public VerifierLink {
 public:
  explicit ScriptedVerifierLink(const Judge& judge) : judge_(judge) {}
  std::vector<Verdict> Grade(const std::vector<Question>& questions) override {
    std::vector<Verdict> verdicts;
    for (const Question& question : questions) {
      v1::GradeRequest request;
      request.set_response(question.response);
      verdicts.push_back(*proto::FromWire(judge_(request)));
    }
    return verdicts;
  }

 private:
  const Judge& judge_;
};

// Another link, which tells when weights are asked for.
class WatchedLearnerLink final : public LearnerLink {
 public:
  WatchedLearnerLink(std::unique_ptr<LearnerLink> link, std::function<void(int64_t)> on_fetch)
      : link_(std::move(link)), on_fetch_(std::move(on_fetch)) {}
  absl::StatusOr<LeaseBatch> LeaseSamples(int64_t max_samples, int64_t weight_version,
                                          absl::Duration wait) override {
    return link_->LeaseSamples(max_samples, weight_version, wait);
  }
  absl::StatusOr<SubmitCounts> Submit(std::vector<Sample> samples) override {
    return link_->Submit(std::move(samples));
  }
  absl::StatusOr<moe::Model> FetchWeights(int64_t least_version, absl::Duration wait) override {
    on_fetch_(least_version);
    return link_->FetchWeights(least_version, wait);
  }
  void Cancel() override { link_->Cancel(); }

 private:
  const std::unique_ptr<LearnerLink> link_;
  const std::function<void(int64_t)> on_fetch_;
};

enum class Links { kGrpc, kLocal };

class RolloutLoopTest : public ActorFixture, public ::testing::WithParamInterface<Links> {
 protected:
  static learner::SamplePool::Options PoolOptions(int64_t max_staleness = 0) {
    learner::SamplePool::Options options;
    options.group_size = kGroupSize;
    options.groups_per_step = kGroups;
    options.max_staleness = max_staleness;
    options.dynamic_sampling = false;
    return options;
  }
  static RolloutLoop::Options LoopOptions() {
    RolloutLoop::Options options;
    options.seed = 11;
    options.engine.max_batch = 8;
    options.engine.kv_cache_mib = 4;
    options.max_response_tokens = 24;
    options.system_prompt = "Think.";
    return options;
  }

  // An actor: its links, its loop and a thread that runs it.
  struct Actor {
    std::unique_ptr<LearnerLink> learner;
    std::unique_ptr<VerifierLink> verifier;
    std::unique_ptr<RolloutLoop> loop;
    absl::Status status;
    std::thread thread;
  };
  std::unique_ptr<Actor> StartActor(int64_t incarnation, absl::Duration patience = kPatience,
                                    const RolloutLoop::Options& options = LoopOptions(),
                                    const std::string& name = "actor.0") {
    auto actor = std::make_unique<Actor>();
    if (GetParam() == Links::kLocal) {
      actor->learner =
          std::make_unique<deploy::LocalLearnerLink>(name, *pool_, *weights_, incarnation);
      actor->verifier = std::make_unique<ScriptedVerifierLink>(judge_);
    } else {
      GrpcLearnerOptions learner;
      learner.address = service_->address();
      learner.actor = name;
      learner.incarnation = incarnation;
      learner.patience = patience;
      GrpcVerifierOptions verifier;
      verifier.address = verifier_server_.address();
      actor->learner = MakeGrpcLearnerLink(learner);
      actor->verifier = MakeGrpcVerifierLink(verifier);
    }
    actor->loop = std::make_unique<RolloutLoop>(options, *actor->learner, *actor->verifier);
    actor->thread = std::thread([a = actor.get()] { a->status = a->loop->Run(); });
    return actor;
  }

  // Takes steps from `first` to `last`; publishes weights `step` after each.
  void Train(int64_t first, int64_t last) {
    for (int64_t step = first; step <= last; ++step) {
      auto taken = pool_->Take(SteadyNow() + kPatience);
      ASSERT_TRUE(taken.ok()) << taken.status();
      for (Group& group : taken->groups) groups_.push_back(std::move(group));
      ASSERT_TRUE(weights_->Publish(WeightsOf(TinyConfig(), step)).ok());
      ASSERT_TRUE(pool_->Retire(step, step).ok());
    }
  }

  // Every sample is what the engine makes of its prompt and key under the weights of its version.
  void CheckSamples(const std::map<int64_t, std::shared_ptr<const moe::Weights>>& weights) {
    for (const auto& [version, of_version] : weights) {
      auto engine =
          Engine::Make(LoopOptions().engine, moe::Model{TinyConfig(), of_version}, version);
      ASSERT_TRUE(engine.ok()) << engine.status();
      for (const Group& group : groups_) {
        const auto tokens = data::EncodeChat(group.prompt.messages, LoopOptions().system_prompt);
        for (const Sample& sample : group.samples) {
          const Rollout& rollout = sample.rollout;
          ASSERT_EQ(rollout.segments.size(), 1u) << "no sample mixes versions";
          if (rollout.segments[0].weight_version != version) continue;
          EXPECT_EQ(rollout.prompt_tokens, *tokens);
          Engine::Request request;
          request.key = rollout.key;
          request.prompt_tokens = *tokens;
          request.max_new_tokens = LoopOptions().max_response_tokens;
          request.seed = LoopOptions().seed;
          request.eos_tokens = {TinyConfig().eos_token_id};
          const auto again = GenerateAll(**engine, {request});
          ASSERT_TRUE(again.ok()) << again.status();
          EXPECT_EQ(rollout.tokens, again->at(0).tokens);
          EXPECT_EQ(rollout.logprobs, again->at(0).logprobs);
          EXPECT_EQ(rollout.stop_reason, again->at(0).stop_reason);
          ++checked_;
        }
      }
    }
  }

  Judge judge_ = ByHash;
  FakeVerifier verifier_{[this](const v1::GradeRequest& request) { return judge_(request); }};
  TestServer verifier_server_{&verifier_};
  std::vector<Group> groups_;  // trained
  int64_t checked_ = 0;
};

// Over in-process links of its own.
class WatchedRolloutLoopTest : public RolloutLoopTest {};
// What only a network can do.
class GrpcRolloutLoopTest : public RolloutLoopTest {};

TEST_P(RolloutLoopTest, RunsUntilTheRunIsFinished) {
  StartLearner(PoolOptions(), 50);
  ASSERT_TRUE(weights_->Publish(WeightsOf(TinyConfig(), 0)).ok());
  auto actor = StartActor(1);
  Train(1, 3);
  ASSERT_TRUE(pool_->Finish().ok());
  actor->thread.join();
  EXPECT_TRUE(actor->status.ok()) << actor->status;
  EXPECT_THAT(Ask("select state, max(attempt), count(*) from samples where state <> 'dropped'"),
              ElementsAre("trained|0|60"));
  EXPECT_THAT(Ask("select distinct leased_version, weight_version, trained_step from samples "
                  "where state = 'trained' order by 1"),
              ElementsAre("0|0|1", "1|1|2", "2|2|3"));
  CheckSamples({{0, WeightsOf(TinyConfig(), 0)},
                {1, WeightsOf(TinyConfig(), 1)},
                {2, WeightsOf(TinyConfig(), 2)}});
  EXPECT_EQ(checked_, 60);
}

TEST_P(RolloutLoopTest, ManySamplesInFlightStayWithinTheirStaleness) {
  StartLearner(PoolOptions(/*max_staleness=*/2), 50);
  ASSERT_TRUE(weights_->Publish(WeightsOf(TinyConfig(), 0)).ok());
  auto actor = StartActor(1);
  Train(1, 8);
  ASSERT_TRUE(pool_->Finish().ok());
  actor->thread.join();
  EXPECT_TRUE(actor->status.ok()) << actor->status;
  EXPECT_THAT(Ask("select count(*) from samples where state = 'trained'"), ElementsAre("160"));
  EXPECT_THAT(Ask("select * from samples where trained_step - 1 - weight_version > 2 or "
                  "weight_version < leased_version"),
              IsEmpty());
}

// Promise 1, of the whole loop: who generates a step's samples, and how, changes none of them.
TEST_P(RolloutLoopTest, RolloutsDoNotDependOnActorsBatchesOrThreads) {
  struct Layout {
    int actors;
    int64_t max_batch;
    int threads;
  };
  std::map<SampleKey, Rollout> expected;
  for (const Layout& layout : {Layout{1, 64, 1}, Layout{3, 4, 2}, Layout{1, 4, 2}}) {
    StartLearner(PoolOptions(), 50);
    ASSERT_TRUE(weights_->Publish(WeightsOf(TinyConfig(), 0)).ok());
    RolloutLoop::Options options = LoopOptions();
    options.engine.max_batch = layout.max_batch;
    options.engine.threads = layout.threads;
    std::vector<std::unique_ptr<Actor>> actors;
    for (int i = 0; i < layout.actors; ++i)
      actors.push_back(StartActor(1, kPatience, options, absl::StrCat("actor.", i)));
    Train(1, 3);
    ASSERT_TRUE(pool_->Finish().ok());
    for (auto& actor : actors) {
      actor->thread.join();
      EXPECT_TRUE(actor->status.ok()) << actor->status;
    }
    std::map<SampleKey, Rollout> rollouts;
    for (const Group& group : groups_) {
      for (const Sample& sample : group.samples) rollouts[sample.rollout.key] = sample.rollout;
    }
    EXPECT_EQ(rollouts.size(), 60u);
    if (expected.empty()) expected = rollouts;
    for (const auto& [key, rollout] : rollouts) {
      const Rollout& other = expected.at(key);
      ASSERT_EQ(rollout.tokens, other.tokens) << key.prompt_id << " " << key.sample_index;
      ASSERT_EQ(rollout.logprobs, other.logprobs);
      ASSERT_EQ(rollout.stop_reason, other.stop_reason);
      ASSERT_EQ(rollout.segments.size(), 1u);
      ASSERT_EQ(rollout.segments[0].weight_version, other.segments[0].weight_version);
    }
    StopLearner();
    groups_.clear();
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path() + suffix);
  }
}

TEST_P(WatchedRolloutLoopTest, RunningSequencesGoOnUnderNewWeights) {
  StartLearner(PoolOptions(/*max_staleness=*/1), 50);
  ASSERT_TRUE(weights_->Publish(WeightsOf(TinyConfig(), 0)).ok());
  RolloutLoop::Options options = LoopOptions();
  absl::Notification taken;  // the loop has version 1 and asks for the next
  options.on_first_token = [&] {
    ASSERT_TRUE(weights_->Publish(WeightsOf(TinyConfig(), 1)).ok());
    EXPECT_TRUE(taken.WaitForNotificationWithTimeout(kPatience));
  };
  auto link = std::make_unique<deploy::LocalLearnerLink>("actor.0", *pool_, *weights_, 1);
  WatchedLearnerLink watched(std::move(link), [&](int64_t least_version) {
    if (least_version == 2 && !taken.HasBeenNotified()) taken.Notify();
  });
  ScriptedVerifierLink verifier(judge_);
  RolloutLoop loop(options, watched, verifier);
  std::thread running([&] { EXPECT_TRUE(loop.Run().ok()); });
  const auto step = pool_->Take(SteadyNow() + kPatience);
  loop.Stop();
  running.join();
  ASSERT_TRUE(step.ok()) << step.status();
  int64_t mixed = 0;
  for (const Group& group : step->groups) {
    for (const Sample& sample : group.samples) {
      const std::vector<Segment>& segments = sample.rollout.segments;
      EXPECT_EQ(segments.back().weight_version, 1);
      EXPECT_EQ(segments.back().kv_version, 1) << "recomputed";
      EXPECT_LE(segments.size(), 2u);
      mixed += segments.size() == 2 && segments[0].weight_version == 0;
    }
  }
  EXPECT_GT(mixed, 0);
}

TEST_P(RolloutLoopTest, KilledMidwayAndStartedAgainLosesAndDoublesNothing) {
  StartLearner(PoolOptions(), 50);
  ASSERT_TRUE(weights_->Publish(WeightsOf(TinyConfig(), 0)).ok());
  std::atomic<int> judged{0};
  judge_ = [&](const v1::GradeRequest& request) {
    ++judged;
    return ByHash(request);
  };
  std::thread training([this] { Train(1, 6); });
  int64_t incarnation = 0;
  for (const int kill_at : {3, 30, 55}) {
    auto actor = StartActor(++incarnation);
    while (judged < kill_at) std::this_thread::yield();
    actor->loop->Stop();
    actor->thread.join();
    EXPECT_TRUE(actor->status.ok()) << actor->status;
  }
  auto last = StartActor(++incarnation);
  training.join();
  ASSERT_TRUE(pool_->Finish().ok());
  last->thread.join();
  EXPECT_TRUE(last->status.ok()) << last->status;
  EXPECT_THAT(Ask("select count(*), count(distinct prompt_id || '/' || sample_index) from samples "
                  "where state = 'trained'"),
              ElementsAre("120|120"));
  EXPECT_THAT(Ask("select count(*) > 0 from samples where return_reason = 'actor_restarted'"),
              ElementsAre("1"));
  EXPECT_THAT(Ask("select count(*) from samples where state in ('open', 'finished', 'training')"),
              ElementsAre("0"));
}

// The learner dies and resumes from a checkpoint; its weights then differ, under the same numbers.
TEST_P(GrpcRolloutLoopTest, AResumedLearnerVoidsTheWeightsOfItsEarlierLife) {
  StartLearner(PoolOptions(), 50);
  ASSERT_TRUE(weights_->Publish(WeightsOf(TinyConfig(), 0)).ok());
  auto actor = StartActor(1);
  Train(1, 3);
  const std::string address = service_->address();
  StopLearner();
  groups_.clear();
  StartLearner(PoolOptions(), 50, {1, kGroups, 1}, address);
  const auto relabelled = [](int64_t seed, int64_t version) {
    WeightManifest manifest = WeightsOf(TinyConfig(), seed)->manifest();
    manifest.version = version;
    return *moe::Weights::Make(manifest, WeightsOf(TinyConfig(), seed)->blob());
  };
  // Version 3 exists in both lives.
  ASSERT_TRUE(weights_->Publish(relabelled(71, 1)).ok());
  for (int64_t step = 2; step <= 4; ++step) {
    auto taken = pool_->Take(SteadyNow() + kPatience);
    ASSERT_TRUE(taken.ok()) << taken.status();
    for (Group& group : taken->groups) groups_.push_back(std::move(group));
    ASSERT_TRUE(weights_->Publish(relabelled(70 + step, step)).ok());
    ASSERT_TRUE(pool_->Retire(step, step).ok());
  }
  ASSERT_TRUE(pool_->Finish().ok());
  actor->thread.join();
  EXPECT_TRUE(actor->status.ok()) << actor->status;
  CheckSamples({{1, relabelled(71, 1)}, {2, relabelled(72, 2)}, {3, relabelled(73, 3)}});
  EXPECT_EQ(checked_, 60);
}

TEST_P(RolloutLoopTest, WhatAVerifierCannotJudgeIsGeneratedAgain) {
  StartLearner(PoolOptions(), 50);
  ASSERT_TRUE(weights_->Publish(WeightsOf(TinyConfig(), 0)).ok());
  std::atomic<int> judged{0};
  judge_ = [&](const v1::GradeRequest& request) {
    return ++judged % 3 == 0 ? Judged(v1::Verdict::ERROR, "sandbox is gone") : ByHash(request);
  };
  auto actor = StartActor(1);
  Train(1, 2);
  ASSERT_TRUE(pool_->Finish().ok());
  actor->thread.join();
  EXPECT_TRUE(actor->status.ok()) << actor->status;
  EXPECT_THAT(Ask("select count(*) from samples where state = 'trained' and outcome = 'error'"),
              ElementsAre("0"));
  EXPECT_THAT(Ask("select count(*) > 9 from samples where return_reason = 'verifier_error'"),
              ElementsAre("1"));
}

TEST_P(GrpcRolloutLoopTest, ALearnerThatStaysAwayEndsTheLoop) {
  StartLearner(PoolOptions(), 50);
  ASSERT_TRUE(weights_->Publish(WeightsOf(TinyConfig(), 0)).ok());
  const std::string address = service_->address();
  auto actor = StartActor(1, absl::Milliseconds(300));
  Train(1, 1);
  StopLearner();
  actor->thread.join();
  EXPECT_EQ(actor->status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(actor->status.message()), HasSubstr(address));
}

TEST_P(RolloutLoopTest, ANewerProcessOfTheSameNameEndsTheLoop) {
  StartLearner(PoolOptions(), 50);
  ASSERT_TRUE(weights_->Publish(WeightsOf(TinyConfig(), 0)).ok());
  auto first = StartActor(1);
  auto second = StartActor(2);
  // Whichever comes first to the pool, the older one must stop.
  first->thread.join();
  EXPECT_EQ(first->status.code(), absl::StatusCode::kFailedPrecondition);
  second->loop->Stop();
  second->thread.join();
  EXPECT_TRUE(second->status.ok()) << second->status;
}

TEST_P(RolloutLoopTest, APromptThatDoesNotFitIsNamed) {
  StartLearner(PoolOptions(), 50);
  ASSERT_TRUE(weights_->Publish(WeightsOf(TinyConfig(), 0)).ok());
  RolloutLoop::Options options = LoopOptions();
  options.max_response_tokens = 60;
  auto actor = StartActor(1, kPatience, options);
  actor->thread.join();
  EXPECT_EQ(actor->status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(actor->status.message()), HasSubstr("prompt p"));
}

TEST_P(RolloutLoopTest, StopsWhileItWaitsForWeights) {
  StartLearner(PoolOptions(), 50);
  auto actor = StartActor(1);
  while (Ask("select count(*) from samples") == std::vector<std::string>{"0"}) {
    std::this_thread::yield();
  }
  actor->loop->Stop();
  actor->thread.join();
  EXPECT_TRUE(actor->status.ok()) << actor->status;
}

std::string NameOf(const ::testing::TestParamInfo<Links>& info) {
  return info.param == Links::kGrpc ? "Grpc" : "Local";
}
INSTANTIATE_TEST_SUITE_P(Links, RolloutLoopTest, ::testing::Values(Links::kGrpc, Links::kLocal),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Links, WatchedRolloutLoopTest, ::testing::Values(Links::kLocal), NameOf);
INSTANTIATE_TEST_SUITE_P(Links, GrpcRolloutLoopTest, ::testing::Values(Links::kGrpc), NameOf);

}  // namespace rollout_loop_test
}  // namespace ponder::actor
