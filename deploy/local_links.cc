#include "deploy/local_links.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "base/status.h"
#include "base/steady_clock.h"

namespace ponder::deploy {

namespace {

// A call that waits looks this often whether it was cancelled.
constexpr absl::Duration kSlice = absl::Milliseconds(50);

absl::Time SliceOf(absl::Time end) { return std::min(end, SteadyNow() + kSlice); }

}  // namespace

absl::StatusOr<actor::LearnerLink::LeaseBatch> LocalLearnerLink::LeaseSamples(int64_t max_samples, int64_t weight_version,
                                                                              absl::Duration wait) {
  const absl::Time end = SteadyNow() + wait;
  while (!cancelled_) {
    PONDER_ASSIGN_OR_RETURN(learner::SamplePool::LeaseBatch batch,
                            pool_.LeaseSamples(actor_, incarnation_, max_samples, SliceOf(end)));
    if (batch.run_finished || !batch.leases.empty() || SteadyNow() >= end) {
      return LeaseBatch{std::move(batch.leases), std::move(batch.prompts), batch.run_finished, batch.life};
    }
  }
  return absl::CancelledError("leasing samples was cancelled");
}

absl::StatusOr<actor::LearnerLink::SubmitCounts> LocalLearnerLink::Submit(std::vector<Sample> samples) {
  PONDER_ASSIGN_OR_RETURN(const std::vector<learner::SamplePool::SubmitResult> results,
                          pool_.Submit(actor_, incarnation_, std::move(samples)));
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
  const absl::Time end = SteadyNow() + wait;
  while (!cancelled_) {
    auto weights = weights_.Latest(least_version, SliceOf(end));
    if (absl::IsDeadlineExceeded(weights.status()) && SteadyNow() < end) continue;
    if (!weights.ok()) return weights.status();
    PONDER_ASSIGN_OR_RETURN(moe::ModelConfig config,
                            moe::ModelConfig::FromJson(weights_.config_json(), "config.json"));
    return moe::Model{std::move(config), *std::move(weights)};
  }
  return absl::CancelledError("fetching weights was cancelled");
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
