// The value model: its loss against the equation, its start from a policy, its updates and its
// checkpoint.
#include "learner/value_model.h"

#include <cmath>
#include <filesystem>
#include <numeric>
#include <vector>

#include "base/status.h"
#include "gtest/gtest.h"
#include "learner/advantage.h"
#include "learner/checkpoint.h"
#include "learner_fixture.h"

namespace ponder::learner {
namespace value_model_test {

TEST(ValueLoss, AgreesWithTheEquationAndItsSlope) {
  for (const double clip : {0.0, 0.2}) {
    Rng rng(9, "value_loss");
    std::vector<float> values, old, returns, gradient(50);
    for (int t = 0; t < 50; ++t) {
      values.push_back(static_cast<float>(rng.NextGaussian()));
      old.push_back(values.back() + static_cast<float>(0.3 * rng.NextGaussian()));
      returns.push_back(static_cast<float>(rng.NextGaussian()));
    }
    const auto slow = [&](int t, double v) {
      const double plain = (v - returns[t]) * (v - returns[t]);
      if (clip == 0) return plain / 2 / 70;
      const double held = std::min(std::max(v, old[t] - clip), old[t] + clip) - returns[t];
      return std::max(plain, held * held) / 2 / 70;
    };
    double expected = 0;
    for (int t = 0; t < 50; ++t) expected += slow(t, values[t]);
    EXPECT_NEAR(ValueLoss(values, old, returns, clip, 70, absl::MakeSpan(gradient)), expected,
                1e-9);
    for (int t = 0; t < 50; ++t) {
      const double slope = (slow(t, values[t] + 1e-6) - slow(t, values[t] - 1e-6)) / 2e-6;
      EXPECT_NEAR(gradient[t], slope, 1e-6) << "token " << t;
    }
  }
}

// A rank whose decoder has a scalar head on the tiny policy's backbone.
struct ValueRank {
  explicit ValueRank(TestRank& rank, int64_t max_tokens = 16384) {
    const auto model = WithScalarHead(TinyModel());
    EXPECT_TRUE(model.ok()) << model.status();
    auto made = moe::Decoder::Make(model->config, *model->weights, {},
                                   rank.mesh.expert->size() > 1 ? rank.mesh.expert.get() : nullptr);
    EXPECT_TRUE(made.ok()) << made.status();
    decoder = *std::move(made);
    ValueModel::Options options;
    options.max_tokens_per_microbatch = max_tokens;
    value = std::make_unique<ValueModel>(options, *decoder, rank.mesh);
  }
  std::unique_ptr<moe::Decoder> decoder;
  std::unique_ptr<ValueModel> value;
};

std::vector<int64_t> All(const PolicyBatch& batch) {
  std::vector<int64_t> all(batch.sequences());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

TEST(ValueModel, StartsAtZeroAndLearnsTheReturns) {
  const auto statuses = OnRanks(1, 1, {}, [&](TestRank& rank) -> absl::Status {
    ValueRank of(rank);
    PolicyBatch batch = RandomBatch(5, 12);
    PONDER_ASSIGN_OR_RETURN(batch.values, of.value->Predict(batch));
    for (const float value : batch.values) EXPECT_EQ(value, 0);
    AdvantageOptions options;
    options.estimator = "gae";
    double first = 0, last = 0;
    for (int step = 0; step < 80; ++step) {
      PONDER_ASSIGN_OR_RETURN(batch.values, of.value->Predict(batch));
      ComputeAdvantages(options, &batch);
      PONDER_ASSIGN_OR_RETURN(const ValueModel::Report report,
                              of.value->Update(batch, All(batch), 3e-3));
      (step == 0 ? first : last) = report.loss;
    }
    EXPECT_LT(last, 0.1 * first);
    EXPECT_GT(ExplainedVariance(batch), 0.8);
    return absl::OkStatus();
  });
  EXPECT_TRUE(statuses[0].ok()) << statuses[0];
}

TEST(ValueModel, LayoutsDoNotMatter) {
  const auto run = [&](int ranks, int expert_parallel, int64_t max_tokens) {
    std::vector<double> losses;
    const auto statuses = OnRanks(ranks, expert_parallel, {}, [&](TestRank& rank) -> absl::Status {
      ValueRank of(rank, max_tokens);
      for (uint64_t step = 0; step < 4; ++step) {
        PolicyBatch batch = RandomBatch(step + 1, 11);
        PONDER_ASSIGN_OR_RETURN(batch.values, of.value->Predict(batch));
        PONDER_ASSIGN_OR_RETURN(const ValueModel::Report report,
                                of.value->Update(batch, All(batch), 1e-3));
        if (rank.mesh.world->rank() == 0) losses.push_back(report.loss);
      }
      return absl::OkStatus();
    });
    for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok()) << status;
    return losses;
  };
  const std::vector<double> whole = run(1, 1, 100000);
  ASSERT_EQ(whole.size(), 4u);
  for (const auto& [ranks, expert_parallel] : {std::pair{1, 1}, {2, 1}, {2, 2}}) {
    const std::vector<double> parts = run(ranks, expert_parallel, 20);
    ASSERT_EQ(parts.size(), 4u);
    for (int i = 0; i < 4; ++i) EXPECT_NEAR(parts[i], whole[i], 1e-5 * whole[i]);
  }
}

TEST(ValueModel, ResumesWithTheSameBits) {
  const std::string folder = testing::TempDir() + "/ponder_value_checkpoint";
  std::filesystem::remove_all(folder);
  const auto statuses = OnRanks(1, 1, {}, [&](TestRank& rank) -> absl::Status {
    const auto update = [](ValueModel& value, uint64_t seed) -> absl::Status {
      PolicyBatch batch = RandomBatch(seed, 6);
      return value.Update(batch, All(batch), 1e-2).status();
    };
    ValueRank straight(rank);
    PONDER_RETURN_IF_ERROR(update(*straight.value, 1));
    TrainState state;
    state.step = 1;
    state.value_step = 1;
    PONDER_RETURN_IF_ERROR(SaveTraining(folder, state, *rank.decoder, rank.updater->optimizer(),
                                        rank.mesh, 1, /*carried=*/{}, straight.value.get()));
    PONDER_RETURN_IF_ERROR(update(*straight.value, 2));

    ValueRank resumed(rank);
    PONDER_ASSIGN_OR_RETURN(const auto newest, NewestCheckpoint(folder));
    PONDER_ASSIGN_OR_RETURN(const TrainState start, LoadTrainState(*newest));
    PONDER_RETURN_IF_ERROR(LoadValueModel(*newest, resumed.value.get()));
    resumed.value->optimizer().set_step(start.value_step);
    PONDER_RETURN_IF_ERROR(update(*resumed.value, 2));
    PONDER_ASSIGN_OR_RETURN(const auto a, straight.decoder->Export(1));
    PONDER_ASSIGN_OR_RETURN(const auto b, resumed.decoder->Export(1));
    EXPECT_EQ(*a->blob(), *b->blob());
    return absl::OkStatus();
  });
  EXPECT_TRUE(statuses[0].ok()) << statuses[0];
}

}  // namespace value_model_test
}  // namespace ponder::learner
