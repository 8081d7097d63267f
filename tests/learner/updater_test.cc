// Promise 6: loss and gradients do not depend on micro-batches, or on the data or expert parallel
// layout.
#include "learner/updater.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "learner_fixture.h"

namespace ponder::learner {
namespace {

struct Trace {
  std::vector<double> losses, grad_norms;
  std::vector<float> weights;  // after the last update
};

// Five policy updates, or five supervised ones, on the same batches.
Trace FiveUpdates(int ranks, int expert_parallel, int64_t max_tokens, bool supervised) {
  Updater::Options options;
  options.max_tokens_per_microbatch = max_tokens;
  Trace trace;
  const auto statuses =
      OnRanks(ranks, expert_parallel, options, [&](TestRank& rank) -> absl::Status {
        for (uint64_t step = 0; step < 5; ++step) {
          const PolicyBatch batch = RandomBatch(step + 1, 13);
          std::vector<int64_t> all(13);
          std::iota(all.begin(), all.end(), 0);
          const auto report = supervised ? rank.updater->SupervisedUpdate(batch, 1e-3)
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

class UpdaterLayouts : public testing::TestWithParam<bool> {};

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

INSTANTIATE_TEST_SUITE_P(PolicyAndSupervised, UpdaterLayouts, testing::Bool());

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
  const auto statuses = OnRanks(1, 1, options, [&](TestRank& rank) -> absl::Status {
    PolicyBatch batch = RandomBatch(4, 2);
    batch.advantages = {1, -1};
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

}  // namespace
}  // namespace ponder::learner
