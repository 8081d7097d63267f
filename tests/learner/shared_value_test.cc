// The value head on the policy's trunk: gradients by finite differences, layouts, and a chain of
// choices that PPO learns with it.
#include "learner/shared_value.h"

#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "base/status.h"
#include "gtest/gtest.h"
#include "learner/advantage.h"
#include "learner_fixture.h"
#include "moe/inference.h"
#include "moe/kernels/attention.h"
#include "moe/kernels/sampling.h"

namespace ponder::learner {
namespace shared_value_test {

std::vector<int64_t> All(const PolicyBatch& batch) {
  std::vector<int64_t> all(batch.sequences());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

Updater::Options PlainPolicy() {
  Updater::Options options;
  options.objective.policy_loss = "reinforce";
  options.step.max_grad_norm = 1e9;
  return options;
}

// A batch whose log-probs are not needed and whose old values are the head's.
PolicyBatch BatchOf(uint64_t seed) {
  PolicyBatch batch = RandomBatch(seed, 8);
  batch.proximal_logprobs.clear();
  return batch;
}

// mean -A log pi + coef * mean (V - R)^2 / 2, from forward passes alone.
double TotalLoss(TestRank& rank, const PolicyBatch& batch, SharedValue& value, double coef) {
  const auto values = value.Predict(batch);
  const auto logprobs = ForwardLogprobs({}, batch, *rank.decoder, rank.mesh);
  EXPECT_TRUE(values.ok() && logprobs.ok());
  double loss = 0, tokens = 0;
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    for (int64_t t = batch.response_start(s); t < batch.starts[s + 1]; ++t) {
      const double error = (*values)[t] - batch.returns[t];
      loss += -batch.advantages[t] * double{(*logprobs)[t]} + coef * error * error / 2;
      ++tokens;
    }
  }
  return loss / tokens;
}

TEST(SharedValue, OneBackwardPassIsTheSlopeOfBothLosses) {
  const auto statuses = OnRanks(1, 1, PlainPolicy(), [&](TestRank& rank) -> absl::Status {
    SharedValue::Options options;
    options.coef = 0.7;
    options.step.max_grad_norm = 1e9;
    SharedValue value(options, *rank.decoder, rank.mesh);
    rank.updater->UseSharedValue(&value);
    PolicyBatch batch = BatchOf(3);
    // A head of zeros sends nothing into the trunk: first it learns by itself.
    for (int i = 0; i < 20; ++i)
      PONDER_RETURN_IF_ERROR(value.UpdateHead(batch, All(batch), 0.05).status());
    const double before = TotalLoss(rank, batch, value, options.coef);
    const auto report = rank.updater->PolicyUpdate(batch, All(batch), 0, /*lr=*/1e-30, 1e-30);
    PONDER_RETURN_IF_ERROR(report.status());
    EXPECT_NEAR(report->stats.loss + options.coef * report->value.loss, before, 1e-5);
    EXPECT_GT(report->value.grad_norm, 0);
    for (const char* name :
         {"model.norm.weight", "model.layers.1.mlp.experts.2.down_proj.weight",
          "model.layers.0.self_attn.q_proj.weight", "model.embed_tokens.weight"}) {
      for (const moe::Parameter& parameter : rank.decoder->parameters()) {
        if (parameter.name != name) continue;
        const at::Tensor gradient = parameter.tensor.grad().clone();
        const double norm = gradient.norm().item<double>();
        EXPECT_GT(norm, 0) << name;
        const at::Tensor original = parameter.tensor.detach().clone();
        at::Tensor weights = parameter.tensor.detach();
        const auto at_distance = [&](double distance) {
          weights.copy_(original + distance / norm * gradient);
          rank.decoder->WeightsChanged();
          return TotalLoss(rank, batch, value, options.coef);
        };
        const double slope = (at_distance(2e-3) - at_distance(-2e-3)) / 4e-3;
        weights.copy_(original);
        rank.decoder->WeightsChanged();
        EXPECT_NEAR(slope / norm, 1, 3e-2) << name << ", gradient " << norm;
      }
    }
    return absl::OkStatus();
  });
  EXPECT_TRUE(statuses[0].ok()) << statuses[0];
}

TEST(SharedValue, PreTrainingLearnsTheReturnsAndLeavesTheTrunkAlone) {
  const auto statuses = OnRanks(1, 1, {}, [&](TestRank& rank) -> absl::Status {
    SharedValue value({}, *rank.decoder, rank.mesh);
    PolicyBatch batch = BatchOf(5);
    PONDER_ASSIGN_OR_RETURN(batch.values, value.Predict(batch));
    for (const float of_token : batch.values) EXPECT_EQ(of_token, 0);
    PONDER_ASSIGN_OR_RETURN(const auto trunk, rank.decoder->Export(0));
    double first = 0, last = 0;
    for (int step = 0; step < 200; ++step) {
      PONDER_ASSIGN_OR_RETURN(const ValueModel::Report report,
                              value.UpdateHead(batch, All(batch), 0.03));
      (step == 0 ? first : last) = report.loss;
    }
    // The best that a linear reading of the trunk can do is not all.
    EXPECT_LT(last, 0.6 * first);
    PONDER_ASSIGN_OR_RETURN(const auto after, rank.decoder->Export(0));
    EXPECT_EQ(*after->blob(), *trunk->blob());
    return absl::OkStatus();
  });
  EXPECT_TRUE(statuses[0].ok()) << statuses[0];
}

TEST(SharedValue, LayoutsDoNotMatter) {
  const auto run = [&](int ranks, int expert_parallel, int64_t max_tokens) {
    std::vector<double> numbers;
    Updater::Options options;
    options.max_tokens_per_microbatch = max_tokens;
    const auto statuses =
        OnRanks(ranks, expert_parallel, options, [&](TestRank& rank) -> absl::Status {
          SharedValue::Options value_options;
          value_options.max_tokens_per_microbatch = max_tokens;
          value_options.clip = 0.2;
          SharedValue value(value_options, *rank.decoder, rank.mesh);
          rank.updater->UseSharedValue(&value);
          for (uint64_t step = 0; step < 4; ++step) {
            PolicyBatch batch = RandomBatch(step + 1, 11);
            PONDER_ASSIGN_OR_RETURN(batch.values, value.Predict(batch));
            ValueModel::Report report;
            if (step < 2) {
              PONDER_ASSIGN_OR_RETURN(report, value.UpdateHead(batch, All(batch), 1e-2));
            } else {
              PONDER_ASSIGN_OR_RETURN(const Updater::Report update,
                                      rank.updater->PolicyUpdate(batch, All(batch), 0, 1e-3, 1e-2));
              report = update.value;
              if (rank.mesh.world->rank() == 0) numbers.push_back(update.grad_norm);
            }
            if (rank.mesh.world->rank() == 0) {
              numbers.push_back(report.loss);
              numbers.push_back(report.grad_norm);
            }
          }
          return absl::OkStatus();
        });
    for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok()) << status;
    return numbers;
  };
  const std::vector<double> whole = run(1, 1, 100000);
  ASSERT_EQ(whole.size(), 10u);
  for (const auto& [ranks, expert_parallel] : {std::pair{1, 1}, {2, 1}, {2, 2}}) {
    const std::vector<double> parts = run(ranks, expert_parallel, 20);
    ASSERT_EQ(parts.size(), whole.size());
    for (size_t i = 0; i < whole.size(); ++i)
      EXPECT_NEAR(parts[i], whole[i], 1e-5 * whole[i]) << i << ", ranks " << ranks;
  }
}

// A chain of three choices after one of two prompts. A third of the tokens is right at each place;
// each right choice is worth a third, paid at the end.
constexpr int64_t kChoices = 3;
bool Right(int32_t prompt, int64_t place, int32_t token) {
  return token % 3 == (prompt + place) % 3;
}

Rollout Play(moe::Inference& inference, int32_t prompt, Rng& rng) {
  const moe::ModelConfig& config = inference.config();
  std::vector<float> page(
      kernels::KvPageFloats(config.attention_shape(), config.num_hidden_layers));
  float* pages[] = {page.data()};
  std::vector<float> scratch(2 * config.vocab_size);
  Rollout rollout;
  rollout.prompt_tokens = {prompt};
  rollout.segments = {{0, 0}};
  for (int64_t place = 0; place < kChoices; ++place) {
    const int32_t last = place == 0 ? prompt : rollout.tokens.back();
    const kernels::AttentionRow row{pages, place + 1};
    const int32_t first_row = 0;
    inference.Forward({&last, 1}, {&row, 1}, {&first_row, 1});
    const kernels::SampledToken drawn =
        kernels::SampleToken(inference.logits(0), config.vocab_size, {},
                             static_cast<float>(rng.NextUniform()), scratch.data());
    rollout.tokens.push_back(drawn.token);
    rollout.logprobs.push_back(drawn.logprob);
  }
  return rollout;
}

TEST(SharedValue, PpoLearnsAChainWithIt) {
  Updater::Options options;
  options.objective.clip_high = 0.2;
  const auto statuses = OnRanks(1, 1, options, [&](TestRank& rank) -> absl::Status {
    SharedValue value({}, *rank.decoder, rank.mesh);
    rank.updater->UseSharedValue(&value);
    AdvantageOptions advantage;
    advantage.estimator = "gae";
    advantage.whiten = true;
    Rng rng(11, "chain");
    kernels::ThreadPool pool(1);
    double first = 0, last = 0, gap = 0;
    constexpr int kPretraining = 5, kSteps = 125;
    for (int step = 0; step < kSteps; ++step) {
      PONDER_ASSIGN_OR_RETURN(auto weights, rank.decoder->Export(step));
      PONDER_ASSIGN_OR_RETURN(auto packed, moe::PackModel(pool, {TinyConfig(), weights}));
      moe::Inference inference(pool, packed);
      PolicyBatch batch;
      double mean = 0;
      for (int64_t i = 0; i < 48; ++i) {
        const Rollout rollout = Play(inference, static_cast<int32_t>(i % 2), rng);
        double reward = 0;
        for (int64_t place = 0; place < kChoices; ++place)
          reward += Right(rollout.prompt_tokens[0], place, rollout.tokens[place]) / 3.0;
        batch.Append(rollout, {reward, i % 2, reward > 0.99});
        mean += reward / 48;
      }
      (step == kPretraining ? first : last) = mean;
      PONDER_ASSIGN_OR_RETURN(batch.values, value.Predict(batch));
      ComputeAdvantages(advantage, &batch);
      if (step < kPretraining) {
        PONDER_RETURN_IF_ERROR(value.UpdateHead(batch, All(batch), 1e-2).status());
        continue;
      }
      PONDER_ASSIGN_OR_RETURN(const Updater::Report report,
                              rank.updater->PolicyUpdate(batch, All(batch), 0, 3e-3, 1e-2));
      gap = std::max(gap, report.stats.gap_max);
    }
    EXPECT_LT(first, 0.6);
    EXPECT_GE(last, 0.95);
    EXPECT_EQ(gap, 0) << "what was sampled is what is trained on";
    return absl::OkStatus();
  });
  EXPECT_TRUE(statuses[0].ok()) << statuses[0];
}

}  // namespace shared_value_test
}  // namespace ponder::learner
