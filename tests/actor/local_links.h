// The in-process kinds of an actor's links: no network, no threads of their own.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "actor/links.h"
#include "base/status.h"
#include "learner/sample_pool.h"
#include "learner/weight_store.h"

namespace ponder::actor {

// To a pool and weights in the same process, which outlive it. Thread-safe.
class LocalLearnerLink final : public LearnerLink {
 public:
  LocalLearnerLink(learner::SamplePool& pool, learner::WeightStore& weights, std::string actor,
                   int64_t incarnation)
      : pool_(pool), weights_(weights), actor_(std::move(actor)), incarnation_(incarnation) {}

  absl::StatusOr<LeaseBatch> LeaseSamples(int64_t max_samples, int64_t,
                                          absl::Duration wait) override {
    const absl::Time end = absl::Now() + wait;
    while (!cancelled_) {
      auto batch = pool_.LeaseSamples(actor_, incarnation_, max_samples, Slice(end));
      if (!batch.ok()) return batch.status();
      if (batch->run_finished || !batch->leases.empty() || absl::Now() >= end) {
        return LeaseBatch{std::move(batch->leases), std::move(batch->prompts), batch->run_finished,
                          batch->life};
      }
    }
    return absl::CancelledError("leasing was cancelled");
  }

  absl::StatusOr<SubmitCounts> Submit(std::vector<Sample> samples) override {
    PONDER_ASSIGN_OR_RETURN(const auto results,
                            pool_.Submit(actor_, incarnation_, std::move(samples)));
    SubmitCounts counts;
    for (const learner::SamplePool::SubmitResult& result : results) {
      switch (result.outcome) {
        case learner::SamplePool::SubmitOutcome::kAccepted:
          ++counts.accepted;
          break;
        case learner::SamplePool::SubmitOutcome::kDuplicate:
          ++counts.duplicate;
          break;
        case learner::SamplePool::SubmitOutcome::kExpired:
          ++counts.expired;
          break;
        case learner::SamplePool::SubmitOutcome::kRejected:
          if (counts.rejected++ == 0) counts.first_rejection = result.message;
      }
    }
    return counts;
  }

  absl::StatusOr<moe::Model> FetchWeights(int64_t least_version, absl::Duration wait) override {
    const absl::Time end = absl::Now() + wait;
    while (!cancelled_) {
      auto weights = weights_.Latest(least_version, Slice(end));
      if (absl::IsDeadlineExceeded(weights.status()) && absl::Now() < end) continue;
      if (!weights.ok()) return weights.status();
      PONDER_ASSIGN_OR_RETURN(
          moe::ModelConfig config,
          moe::ModelConfig::FromJson(weights_.config_json(), "the learner's config"));
      return moe::Model{std::move(config), *std::move(weights)};
    }
    return absl::CancelledError("fetching weights was cancelled");
  }

  void Cancel() override { cancelled_ = true; }

 private:
  // Between two slices it looks whether it was cancelled.
  static absl::Time Slice(absl::Time end) {
    return std::min(end, absl::Now() + absl::Milliseconds(50));
  }

  learner::SamplePool& pool_;
  learner::WeightStore& weights_;
  const std::string actor_;
  const int64_t incarnation_;
  std::atomic<bool> cancelled_{false};
};

// Judges by a thread-safe function.
class LocalVerifierLink final : public VerifierLink {
 public:
  using Judge = std::function<Verdict(const Question&)>;
  explicit LocalVerifierLink(Judge judge) : judge_(std::move(judge)) {}
  std::vector<Verdict> Grade(const std::vector<Question>& questions) override {
    std::vector<Verdict> verdicts;
    for (const Question& question : questions) verdicts.push_back(judge_(question));
    return verdicts;
  }

 private:
  const Judge judge_;
};

}  // namespace ponder::actor
