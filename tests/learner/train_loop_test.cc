// The train loop with the models that a recipe asks for: value pre-training leaves the policy
// alone, and what reference and proximal log-probs say at the start is exact. Rewards of several
// sources: what is logged of them, and that a resumed run goes on with their moments.
#include "learner/train_loop.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "gtest/gtest.h"
#include "learner_fixture.h"
#include "nlohmann/json.hpp"
#include "pool_fixture.h"

namespace ponder::learner {
namespace train_loop_test {

using Json = nlohmann::json;

class TrainLoopTest : public PoolFixture {
 protected:
  struct Recipe {
    TrainLoop::Options loop;
    ObjectiveOptions objective;
    int64_t groups_per_step = 2;
    bool reference = false;
    bool value = false;
    bool shared_value = false;
    std::vector<Prompt> prompts = MakePrompts(20);
    Sample (*answer)(const Lease&) = MixedAnswer;
    bool resume = false;  // from the newest checkpoint
  };

  // Trains the tiny model on answers of which every other one is right; the log's lines.
  std::vector<Json> Train(Recipe recipe) {
    SamplePool::Options pool_options;
    pool_options.group_size = 4;
    pool_options.groups_per_step = recipe.groups_per_step;
    TrainState start;
    std::string checkpoint;
    if (recipe.resume) {
      checkpoint = **NewestCheckpoint(folder_ + "/checkpoints");
      start = *LoadTrainState(checkpoint);
    }
    auto made = TryMakePool(pool_options, recipe.prompts,
                            {start.step, start.next_group_id, start.version, start.curriculum});
    EXPECT_TRUE(made.ok()) << made.status();
    const auto pool = *std::move(made);
    std::thread actor([&] {
      while (true) {
        const auto batch = pool->LeaseSamples("a", 1, 8, SteadyNow() + absl::Seconds(1));
        if (!batch.ok() || batch->run_finished) return;
        std::vector<Sample> samples;
        for (const Lease& lease : batch->leases) samples.push_back(recipe.answer(lease));
        if (!samples.empty() && !pool->Submit("a", 1, samples).ok()) return;
      }
    });
    recipe.loop.checkpoints = folder_ + "/checkpoints";
    recipe.loop.checkpoint_every = 1;
    recipe.loop.keep_checkpoints = 100;
    recipe.loop.take_timeout = absl::Minutes(2);
    Updater::Options options;
    options.objective = recipe.objective;
    const auto statuses = OnRanks(1, 1, options, [&](TestRank& rank) -> absl::Status {
      const moe::Model model = TinyModel();
      PONDER_ASSIGN_OR_RETURN(const moe::Model scalar, WithScalarHead(model));
      PONDER_ASSIGN_OR_RETURN(const auto reference,
                              moe::Decoder::Make(model.config, *model.weights, {}));
      PONDER_ASSIGN_OR_RETURN(const auto value_decoder,
                              moe::Decoder::Make(scalar.config, *scalar.weights, {}));
      ValueModel value({}, *value_decoder, rank.mesh);
      if (recipe.resume) {
        PONDER_ASSIGN_OR_RETURN(const moe::Model saved, moe::LoadModel(checkpoint));
        PONDER_RETURN_IF_ERROR(rank.decoder->Load(*saved.weights));
        AdamW& optimizer = rank.updater->optimizer();
        PONDER_RETURN_IF_ERROR(LoadOptimizer(checkpoint, *rank.decoder, &optimizer));
        optimizer.set_step(start.optimizer_step);
      }
      SharedValue shared_value({}, *rank.decoder, rank.mesh);
      if (recipe.shared_value) rank.updater->UseSharedValue(&shared_value);
      if (recipe.resume && recipe.shared_value) {
        PONDER_RETURN_IF_ERROR(LoadSharedValue(checkpoint, &shared_value));
        shared_value.optimizer().set_step(start.value_step);
      }
      WeightStore weights(model.config.ToJson());
      PONDER_ASSIGN_OR_RETURN(const auto metrics, MetricsLog::Open(folder_ + "/metrics.jsonl"));
      TrainLoop loop(recipe.loop, start, *rank.decoder, *rank.updater, rank.mesh,
                     {pool.get(), &weights, metrics.get()},
                     {recipe.reference ? reference.get() : nullptr, recipe.value ? &value : nullptr,
                      recipe.shared_value ? &shared_value : nullptr});
      return loop.Run();
    });
    EXPECT_TRUE(statuses[0].ok()) << statuses[0];
    EXPECT_TRUE(pool->Finish().ok());
    actor.join();
    std::vector<Json> lines;
    std::ifstream file(folder_ + "/metrics.jsonl");
    for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line));
    return lines;
  }

  std::vector<uint8_t> PolicyAt(int64_t step) const {
    const auto model = moe::LoadModel(absl::StrCat(folder_, "/checkpoints/step-00000", step));
    EXPECT_TRUE(model.ok()) << model.status();
    std::vector<uint8_t> policy;
    for (size_t i = 0; i < model->weights->manifest().tensors.size(); ++i) {
      const auto bytes = model->weights->bytes(i);
      policy.insert(policy.end(), bytes.begin(), bytes.end());
    }
    return policy;
  }
};

TEST_F(TrainLoopTest, ValuePreTrainingLeavesThePolicyAlone) {
  Recipe vapo;
  vapo.loop.steps = 2;
  vapo.loop.value_pretrain_steps = 3;
  vapo.loop.advantage.estimator = "gae";
  vapo.loop.advantage.length_alpha = 0.5;
  vapo.loop.advantage.whiten = true;
  vapo.loop.minibatches = 2;
  vapo.objective.positive_nll_coef = 0.1;
  vapo.value = true;
  const std::vector<Json> lines = Train(vapo);
  ASSERT_EQ(lines.size(), 5u);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(lines[i]["steps"], 5);
    EXPECT_EQ(lines[i]["pretraining"], i < 3);
    EXPECT_EQ(lines[i]["version"], i < 3 ? 0 : i - 2);
    EXPECT_EQ(lines[i]["staleness_max"], 0);
    EXPECT_GT(lines[i]["value_loss"], 0);
  }
  EXPECT_EQ(PolicyAt(1), *TinyModel().weights->blob());
  EXPECT_EQ(PolicyAt(3), *TinyModel().weights->blob());
  EXPECT_NE(PolicyAt(4), PolicyAt(3));
  EXPECT_LT(lines[2]["value_loss"], lines[0]["value_loss"]);
  // Half of the answers are right: the return is 1 or 0, and a value of 0 explains none of it.
  EXPECT_NEAR(lines[0]["value_loss"].get<double>(), 0.25, 0.02);
  EXPECT_NEAR(lines[0]["explained_variance"].get<double>(), 0, 1e-9);
}

TEST_F(TrainLoopTest, AValueHeadOnThePolicysTrunkIsTrainedAheadAndResumed) {
  Recipe recipe;
  recipe.shared_value = true;
  recipe.loop.steps = 3;
  recipe.loop.value_pretrain_steps = 2;
  recipe.loop.value_lr = 1e-2;
  recipe.loop.minibatches = 2;
  recipe.loop.advantage.estimator = "gae";
  const std::vector<Json> whole = Train(recipe);
  ASSERT_EQ(whole.size(), 5u);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(whole[i]["pretraining"], i < 2);
    EXPECT_EQ(whole[i]["version"], i < 2 ? 0 : i - 1);
    EXPECT_GT(whole[i]["value_loss"], 0);
    EXPECT_GT(whole[i]["value_grad_norm"], 0);
  }
  EXPECT_EQ(PolicyAt(2), *TinyModel().weights->blob());
  EXPECT_NE(PolicyAt(3), PolicyAt(2));
  EXPECT_NEAR(whole[0]["value_loss"].get<double>(), 0.25, 0.02);
  const std::vector<uint8_t> policy = PolicyAt(5);
  std::filesystem::remove_all(folder_);
  SetUp();
  recipe.loop.steps = 2;
  Train(recipe);
  recipe.loop.steps = 3;
  recipe.resume = true;
  const std::vector<Json> parts = Train(recipe);
  ASSERT_EQ(parts.size(), 5u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(whole[i]["value_loss"], parts[i]["value_loss"]) << i;
  EXPECT_EQ(PolicyAt(5), policy);
}

TEST_F(TrainLoopTest, ReferenceAndProximalAgreeWithThePolicyBeforeItMoves) {
  Recipe recipe;
  recipe.loop.steps = 2;
  recipe.loop.proximal = true;
  recipe.loop.overlong_filtering = true;
  recipe.objective.kl_coef = 0.1;
  recipe.objective.correction.kind = RatioCorrection::Kind::kTruncate;
  recipe.reference = true;
  const std::vector<Json> lines = Train(recipe);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["reference_kl"], 0) << "the same weights give the same bits";
  EXPECT_GT(lines[1]["reference_kl"], 0);
  EXPECT_EQ(lines[0]["clip_fraction"], 0) << "the ratio to one's own log-probs is 1";
  EXPECT_GT(lines[0]["kl"], 0) << "these behaviour log-probs are made up";
  EXPECT_EQ(lines[0]["skipped_updates"], 0);
  EXPECT_TRUE(lines[0].contains("corrected"));
}

// Prompts of three sources: checked answers, preferences, and both.
std::vector<Prompt> MixedPrompts() {
  std::vector<Prompt> prompts = MakePrompts(24);
  const char* sources[] = {"checked", "liked", "both"};
  for (size_t i = 0; i < prompts.size(); ++i) {
    prompts[i].source = sources[i % 3];
    prompts[i].id = absl::StrCat(sources[i % 3], ".", i);
  }
  return prompts;
}

// A verdict of the prompt's source, a function of the key alone. Preferences are around 40.
Sample SourceAnswer(const Lease& lease) {
  Sample sample = MixedAnswer(lease);
  const double score =
      static_cast<double>(
          StableHash(absl::StrCat(lease.key.prompt_id, "/", lease.key.sample_index)) % 100) /
      10;
  if (lease.key.prompt_id[0] == 'l') {
    sample.verdict.outcome = Verdict::Outcome::kScored;
    sample.verdict.score = 40 + score;
  }
  if (lease.key.prompt_id[0] == 'b') sample.verdict.score = score;
  return sample;
}

TEST_F(TrainLoopTest, RewardsOfSeveralSourcesAreOnOneScaleAndLoggedInParts) {
  Recipe recipe;
  recipe.loop.steps = 2;
  recipe.groups_per_step = 6;
  recipe.prompts = MixedPrompts();
  recipe.answer = SourceAnswer;
  recipe.loop.normalisation = {reward::SourceNormaliser::Kind::kStandardise, 1e-6, 0.1};
  recipe.loop.reward.preference_coef = 0.5;
  recipe.loop.advantage.estimator = "return";
  const std::vector<Json> lines = Train(recipe);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["accuracy"], 0.5) << "of the answers that can be right";
  for (const Json& line : lines) {
    double samples = 0, reward = 0;
    for (const Json& of : line["rewards"]) {
      samples += of["samples"].get<double>();
      reward += of["samples"].get<double>() * of["reward"].get<double>();
      EXPECT_EQ(of["overlong"], 0);
      EXPECT_EQ(of["normalised"], of["reward"]);
      EXPECT_EQ(of["correctness"], of["source"] == "liked" ? 0 : 0.5) << of;
      if (of["source"] == "checked") {
        EXPECT_EQ(of["preference"], 0);
        EXPECT_NEAR(of["mean"].get<double>(), 0.5, 1e-12);
        EXPECT_NEAR(of["deviation"].get<double>(), 0.5, 1e-12);
      }
      if (of["source"] == "liked") {
        EXPECT_GT(of["preference"], 20);
      }
      EXPECT_LT(std::abs(of["reward"].get<double>()), 1.5) << of;
    }
    EXPECT_EQ(samples, 24);
    EXPECT_NEAR(line["reward"].get<double>(), reward / samples, 1e-9);
  }
  // In the first step the moments are those of the step's rewards: each source's mean becomes 0.
  for (const Json& of : lines[0]["rewards"]) EXPECT_NEAR(of["reward"].get<double>(), 0, 1e-9);
}

TEST_F(TrainLoopTest, AResumedRunGoesOnWithTheMomentsOfItsRewards) {
  Recipe recipe;
  recipe.groups_per_step = 5;
  recipe.prompts = MixedPrompts();
  recipe.answer = SourceAnswer;
  recipe.loop.normalisation = {reward::SourceNormaliser::Kind::kStandardise, 0.02, 0.1};
  recipe.loop.advantage.estimator = "return";
  recipe.loop.steps = 4;
  const std::vector<Json> whole = Train(recipe);
  const std::vector<uint8_t> policy = PolicyAt(4);
  std::filesystem::remove_all(folder_);
  SetUp();
  recipe.loop.steps = 2;
  Train(recipe);
  recipe.loop.steps = 4;
  recipe.resume = true;
  const std::vector<Json> parts = Train(recipe);
  ASSERT_EQ(whole.size(), 4u);
  ASSERT_EQ(parts.size(), 4u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(whole[i]["rewards"], parts[i]["rewards"]) << "step " << i;
  EXPECT_EQ(PolicyAt(4), policy);
}

}  // namespace train_loop_test
}  // namespace ponder::learner
