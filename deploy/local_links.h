// The seams of an actor without a network: calls straight into the learner's pool and weights, and into the verifier's graders.
// For the loopback and for tests.
#pragma once

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
  LocalLearnerLink(std::string actor, learner::SamplePool& pool, learner::WeightStore& weights)
      : actor_(std::move(actor)), pool_(pool), weights_(weights) {}

  absl::StatusOr<LeaseBatch> LeaseSamples(int64_t max_samples, int64_t weight_version, absl::Duration wait) override;
  absl::StatusOr<SubmitCounts> Submit(std::vector<Sample> samples) override;
  absl::StatusOr<moe::Model> FetchWeights(int64_t least_version, absl::Duration wait) override;
  // The pool's Finish or Close ends the calls in progress.
  void Cancel() override {}

 private:
  const std::string actor_;
  learner::SamplePool& pool_;
  learner::WeightStore& weights_;
};

class LocalVerifierLink final : public actor::VerifierLink {
 public:
  std::vector<Verdict> Grade(const std::vector<Question>& questions) override;

 private:
  const verifier::Graders graders_ = verifier::MakeGraders();
};

}  // namespace ponder::deploy
