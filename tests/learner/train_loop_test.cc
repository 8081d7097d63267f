// The train loop with the models that a recipe asks for: value pre-training leaves the policy
// alone, and what reference and proximal log-probs say at the start is exact.
#include "learner/train_loop.h"

#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
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
    bool reference = false;
    bool value = false;
  };

  // Trains the tiny model on answers of which every other one is right; the log's lines.
  std::vector<Json> Train(Recipe recipe) {
    SamplePool::Options pool_options;
    pool_options.group_size = 4;
    pool_options.groups_per_step = 2;
    const auto pool = MakePool(pool_options, 20);
    std::thread actor([&] {
      while (true) {
        const auto batch = pool->LeaseSamples("a", 1, 8, absl::Now() + absl::Seconds(1));
        if (!batch.ok() || batch->run_finished) return;
        std::vector<Sample> samples;
        for (const Lease& lease : batch->leases) samples.push_back(MixedAnswer(lease));
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
      WeightStore weights(model.config.ToJson());
      PONDER_ASSIGN_OR_RETURN(const auto metrics, MetricsLog::Open(folder_ + "/metrics.jsonl"));
      TrainLoop loop(
          recipe.loop, {}, *rank.decoder, *rank.updater, rank.mesh,
          {pool.get(), &weights, metrics.get()},
          {recipe.reference ? reference.get() : nullptr, recipe.value ? &value : nullptr});
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

}  // namespace train_loop_test
}  // namespace ponder::learner
