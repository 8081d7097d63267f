#include "deploy/local_links.h"

#include <utility>

#include "absl/time/clock.h"
#include "base/status.h"

namespace ponder::deploy {

absl::StatusOr<actor::LearnerLink::LeaseBatch> LocalLearnerLink::LeaseSamples(int64_t max_samples, int64_t weight_version,
                                                                              absl::Duration wait) {
  PONDER_ASSIGN_OR_RETURN(learner::SamplePool::LeaseBatch batch,
                          pool_.LeaseSamples(actor_, /*incarnation=*/1, max_samples, absl::Now() + wait));
  return LeaseBatch{std::move(batch.leases), std::move(batch.prompts), batch.run_finished};
}

absl::StatusOr<actor::LearnerLink::SubmitCounts> LocalLearnerLink::Submit(std::vector<Sample> samples) {
  PONDER_ASSIGN_OR_RETURN(const std::vector<learner::SamplePool::SubmitResult> results,
                          pool_.Submit(actor_, /*incarnation=*/1, std::move(samples)));
  SubmitCounts counts;
  for (const learner::SamplePool::SubmitResult& result : results) {
    switch (result.outcome) {
      case learner::SamplePool::SubmitOutcome::kAccepted: ++counts.accepted; break;
      case learner::SamplePool::SubmitOutcome::kDuplicate: ++counts.duplicate; break;
      case learner::SamplePool::SubmitOutcome::kExpired: ++counts.expired; break;
      case learner::SamplePool::SubmitOutcome::kRejected:
        if (counts.rejected++ == 0) counts.first_rejection = result.message;
        break;
    }
  }
  return counts;
}

absl::StatusOr<moe::Model> LocalLearnerLink::FetchWeights(int64_t least_version, absl::Duration wait) {
  PONDER_ASSIGN_OR_RETURN(auto weights, weights_.Latest(least_version, absl::Now() + wait));
  PONDER_ASSIGN_OR_RETURN(moe::ModelConfig config, moe::ModelConfig::FromJson(weights_.config_json(), "config.json"));
  return moe::Model{std::move(config), std::move(weights)};
}

std::vector<Verdict> LocalVerifierLink::Grade(const std::vector<Question>& questions) {
  std::vector<Verdict> verdicts;
  for (const Question& question : questions) {
    const absl::StatusOr<const verifier::Grader*> grader = graders_.Find(question.kind);
    if (!grader.ok()) {
      Verdict verdict;
      verdict.reason = std::string(grader.status().message());
      verdicts.push_back(std::move(verdict));
      continue;
    }
    verdicts.push_back(
        verifier::TimedGrade(**grader, {question.gold, question.response}, absl::InfiniteFuture()));
  }
  return verdicts;
}

}  // namespace ponder::deploy
