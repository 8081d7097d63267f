// The seams of an actor without a network: calls straight into the learner's pool and weights, and into the verifier's graders.
// For the loopback and for tests.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "actor/links.h"
#include "learner/sample_pool.h"
#include "learner/weight_store.h"
#include "verifier/graders.h"

namespace ponder::deploy {

class LocalLearnerLink final : public actor::LearnerLink {
 public:
  // Both outlive it.
  LocalLearnerLink(std::string actor, learner::SamplePool& pool, learner::WeightStore& weights, int64_t incarnation = 1)
      : actor_(std::move(actor)), incarnation_(incarnation), pool_(pool), weights_(weights) {}

  absl::StatusOr<LeaseBatch> LeaseSamples(int64_t max_samples, int64_t weight_version, absl::Duration wait) override;
  absl::StatusOr<SubmitCounts> Submit(std::vector<Sample> samples) override;
  absl::StatusOr<moe::Model> FetchWeights(int64_t least_version, absl::Duration wait) override;
  void Cancel() override { cancelled_ = true; }

 private:
  const std::string actor_;
  const int64_t incarnation_;
  learner::SamplePool& pool_;
  learner::WeightStore& weights_;
  std::atomic<bool> cancelled_{false};
};

class LocalVerifierLink final : public actor::VerifierLink {
 public:
  std::vector<Verdict> Grade(const std::vector<Question>& questions) override;

 private:
  const verifier::Graders graders_ = verifier::MakeGraders();
};

}  // namespace ponder::deploy
