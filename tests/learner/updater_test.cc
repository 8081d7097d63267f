// Promise 6: loss and gradients do not depend on micro-batches, or on the data or expert parallel
// layout.
#include "learner/updater.h"

#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "learner_fixture.h"
#include "moe/routing_record.h"

namespace ponder::learner {
namespace updater_test {

struct Trace {
  std::vector<double> losses, grad_norms;
  std::vector<float> weights;  // after the last update
};

// "supervised", or a policy loss with every regulariser and correction on; "replay" is "clip" with
// experts that are given.
Updater::Options OptionsOf(const std::string& kind) {
  Updater::Options options;
  if (kind == "supervised" || kind == "dapo") return options;
  options.objective.policy_loss = kind == "replay" ? "clip" : kind;
  options.objective.aggregation =
      kind == "gspo" ? Aggregation::kSequenceMean : Aggregation::kConstantLength;
  options.objective.constant_length = 12;
  options.objective.kl_coef = 0.1;
  options.objective.entropy_coef = 0.05;
  options.objective.positive_nll_coef = 0.1;
  options.objective.correction.kind = RatioCorrection::Kind::kTruncate;
  options.router.kind =
      kind == "gspo" ? RouterBalance::Kind::kBatch : RouterBalance::Kind::kSequence;
  options.router.coef = 0.1;
  options.router.z_coef = 0.05;
  return options;
}

// Random experts for the tokens of every other sequence, not those that the routers would choose.
void Route(uint64_t seed, PolicyBatch* batch) {
  Rng rng(seed, "route");
  const moe::RoutingShape shape = moe::RoutingShape::Of(TinyConfig());
  batch->routing_slots = shape.token_slots();
  for (int64_t s = 0; s < batch->sequences(); ++s) {
    for (int64_t t = 0; t < batch->length(s); ++t) {
      for (size_t layer = 0; layer < shape.layers.size(); ++layer) {
        const auto first = static_cast<uint16_t>(rng.NextInt(0, 3));
        const auto second = static_cast<uint16_t>((first + rng.NextInt(1, 3)) % 4);
        for (const uint16_t expert : {first, second})
          batch->routing.push_back(s % 2 == 0 ? expert : moe::kUnroutedToken);
      }
    }
  }
}

// Five updates of a kind, on the same batches.
Trace FiveUpdates(int ranks, int expert_parallel, int64_t max_tokens, const std::string& kind) {
  Updater::Options options = OptionsOf(kind);
  options.max_tokens_per_microbatch = max_tokens;
  Trace trace;
  const auto statuses =
      OnRanks(ranks, expert_parallel, options, [&](TestRank& rank) -> absl::Status {
        for (uint64_t step = 0; step < 5; ++step) {
          PolicyBatch batch = RandomBatch(step + 1, 13);
          if (kind != "supervised") batch.included[4] = 0;
          if (kind == "dapo") batch.proximal_logprobs.clear();
          if (kind == "replay") Route(step, &batch);
          std::vector<int64_t> all(13);
          std::iota(all.begin(), all.end(), 0);
          const auto report = kind == "supervised"
                                  ? rank.updater->SupervisedUpdate(batch, 1e-3)
                                  : rank.updater->PolicyUpdate(batch, all, 0, 1e-3);
          if (!report.ok()) return report.status();
          if (rank.mesh.world->rank() == 0) {
            trace.losses.push_back(report->stats.loss);
            trace.grad_norms.push_back(report->grad_norm);
          }
        }
        const auto weights = rank.decoder->Export(1);
        if (!weights.ok()) return weights.status();
        if (rank.mesh.world->rank() == 0) {
          const std::vector<uint8_t>& blob = *(*weights)->blob();
          trace.weights.resize(blob.size() / 4);
          std::memcpy(trace.weights.data(), blob.data(), blob.size());
        }
        return absl::OkStatus();
      });
  for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok()) << status;
  return trace;
}

void ExpectSame(const Trace& got, const Trace& want, double tolerance) {
  ASSERT_EQ(got.losses.size(), 5u);
  for (int i = 0; i < 5; ++i) {
    EXPECT_NEAR(got.losses[i], want.losses[i], tolerance * std::abs(want.losses[i]))
        << "update " << i;
    EXPECT_NEAR(got.grad_norms[i], want.grad_norms[i], tolerance * want.grad_norms[i])
        << "update " << i;
  }
  ASSERT_EQ(got.weights.size(), want.weights.size());
}

class UpdaterLayouts : public testing::TestWithParam<std::string> {};

TEST_P(UpdaterLayouts, MicrobatchesDoNotMatter) {
  const Trace whole = FiveUpdates(1, 1, 100000, GetParam());
  ExpectSame(FiveUpdates(1, 1, 32, GetParam()), whole, 1e-5);
  ExpectSame(FiveUpdates(1, 1, 1, GetParam()), whole, 1e-5);
  for (const double loss : whole.losses) EXPECT_NE(loss, 0);
}

TEST_P(UpdaterLayouts, DataParallelDoesNotMatter) {
  ExpectSame(FiveUpdates(2, 1, 64, GetParam()), FiveUpdates(1, 1, 100000, GetParam()), 1e-5);
}

TEST_P(UpdaterLayouts, ExpertParallelDoesNotMatter) {
  const Trace whole = FiveUpdates(1, 1, 100000, GetParam());
  ExpectSame(FiveUpdates(2, 2, 64, GetParam()), whole, 1e-5);
  ExpectSame(FiveUpdates(4, 2, 64, GetParam()), whole, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Objectives, UpdaterLayouts,
                         testing::Values("supervised", "dapo", "clip", "gspo", "cispo", "replay"),
                         [](const auto& info) { return info.param; });

// One update's gradient, as a batch in so many micro-batches: the same to 1e-6 of its norm.
TEST_P(UpdaterLayouts, GradientsAreTheSameToAMillionth) {
  const auto gradient = [&](int64_t max_tokens) {
    Updater::Options options = OptionsOf(GetParam());
    options.max_tokens_per_microbatch = max_tokens;
    std::vector<float> flat;
    const auto statuses = OnRanks(1, 1, options, [&](TestRank& rank) -> absl::Status {
      const PolicyBatch batch = RandomBatch(77, 16);
      std::vector<int64_t> all(16);
      std::iota(all.begin(), all.end(), 0);
      const auto report = GetParam() == "supervised"
                              ? rank.updater->SupervisedUpdate(batch, 1e-9)
                              : rank.updater->PolicyUpdate(batch, all, 0, 1e-9);
      if (!report.ok()) return report.status();
      for (const auto& span :
           {rank.decoder->replicated_gradients(), rank.decoder->expert_gradients()})
        flat.insert(flat.end(), span.begin(), span.end());
      return absl::OkStatus();
    });
    EXPECT_TRUE(statuses[0].ok()) << statuses[0];
    return flat;
  };
  const std::vector<float> whole = gradient(100000);
  double norm = 0;
  for (const float x : whole) norm += double{x} * x;
  ASSERT_GT(norm, 0);
  // 16 sequences of 2 to 18 tokens: in about 2, 4 and 16 parts.
  for (const int64_t max_tokens : {90, 45, 1}) {
    const std::vector<float> parts = gradient(max_tokens);
    ASSERT_EQ(parts.size(), whole.size());
    double error = 0;
    for (size_t i = 0; i < whole.size(); ++i)
      error += (double{parts[i]} - whole[i]) * (double{parts[i]} - whole[i]);
    EXPECT_LT(std::sqrt(error / norm), 1e-6) << max_tokens << " tokens a micro-batch";
  }
}

TEST(Updater, BalanceLossEvensTheLoad) {
  const auto imbalance = [](RouterBalance::Kind kind) {
    Updater::Options options;
    options.router.kind = kind;
    options.router.coef = 0.3;
    double last = 0;
    const auto statuses = OnRanks(1, 1, options, [&](TestRank& rank) -> absl::Status {
      const PolicyBatch batch = RandomBatch(1, 16);
      for (int step = 0; step < 40; ++step) {
        const auto report = rank.updater->SupervisedUpdate(batch, 3e-3);
        if (!report.ok()) return report.status();
        last = report->router.MeanLoadImbalance();
      }
      return absl::OkStatus();
    });
    EXPECT_TRUE(statuses[0].ok()) << statuses[0];
    return last;
  };
  const double without = imbalance(RouterBalance::Kind::kNone);
  EXPECT_LT(imbalance(RouterBalance::Kind::kSequence), without);
  EXPECT_LT(imbalance(RouterBalance::Kind::kBatch), without);
  EXPECT_LT(imbalance(RouterBalance::Kind::kBatch), 1.15);
}

TEST(Updater, SupervisedUpdatesLowerTheLoss) {
  Updater::Options options;
  const auto statuses = OnRanks(1, 1, options, [&](TestRank& rank) -> absl::Status {
    const PolicyBatch batch = RandomBatch(1, 8);
    double first = 0, last = 0;
    for (int step = 0; step < 60; ++step) {
      const auto report = rank.updater->SupervisedUpdate(batch, 1e-2);
      if (!report.ok()) return report.status();
      (step == 0 ? first : last) = report->stats.loss;
    }
    EXPECT_LT(last, 0.3 * first);
    return absl::OkStatus();
  });
  EXPECT_TRUE(statuses[0].ok()) << statuses[0];
}

TEST(Updater, PolicyUpdateRaisesTheRewardedSequence) {
  Updater::Options options;
  // The behaviour log-probs are made up: none of the ratios is to be clipped.
  options.objective.clip_low = 1;
  options.objective.clip_high = 1000;
  const auto statuses = OnRanks(1, 1, options, [&](TestRank& rank) -> absl::Status {
    PolicyBatch batch = RandomBatch(4, 2);
    batch.proximal_logprobs.clear();
    for (int64_t t = 0; t < batch.starts.back(); ++t) {
      const bool response = t >= batch.response_start(t < batch.starts[1] ? 0 : 1);
      batch.advantages[t] = !response ? 0.f : t < batch.starts[1] ? 1.f : -1.f;
    }
    const auto sum_logprob = [&](int64_t s) {
      moe::PackedBatch packed;
      std::vector<int32_t> rows, targets;
      packed.tokens.assign(batch.tokens.begin() + batch.starts[s],
                           batch.tokens.begin() + batch.starts[s + 1]);
      packed.starts = {0, batch.length(s)};
      for (int64_t t = batch.prompt_lengths[s]; t < batch.length(s); ++t) {
        rows.push_back(static_cast<int32_t>(t - 1));
        targets.push_back(packed.tokens[t]);
      }
      return rank.decoder->Forward(packed, rows, targets, 1)->logprob.sum().item<double>();
    };
    const double good = sum_logprob(0), bad = sum_logprob(1);
    const std::vector<int64_t> all = {0, 1};
    const auto report = rank.updater->PolicyUpdate(batch, all, 0, 1e-3);
    if (!report.ok()) return report.status();
    EXPECT_GT(sum_logprob(0), good);
    EXPECT_LT(sum_logprob(1), bad);
    EXPECT_EQ(report->stats.on_policy_tokens, static_cast<double>(batch.response_tokens()));
    EXPECT_GT(report->stats.gap_max, 0.01) << "these behaviour log-probs are made up";
    return absl::OkStatus();
  });
  EXPECT_TRUE(statuses[0].ok()) << statuses[0];
}

}  // namespace updater_test
}  // namespace ponder::learner
