#include "reward/reward.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "reward/normalisation.h"

namespace ponder::reward {
namespace {

bool IsCorrect(const Sample& sample) {
  return sample.verdict.outcome == Verdict::Outcome::kCorrect;
}

}  // namespace

double OverlongPenalty(int64_t response_tokens, const RewardOptions& options) {
  const int64_t excess = response_tokens - (options.max_response_tokens - options.overlong_cache);
  if (options.overlong_cache == 0 || excess <= 0) return 0;
  return std::max(-1.0, -static_cast<double>(excess) / static_cast<double>(options.overlong_cache));
}

std::vector<Score> ScoreGroup(const Group& group, const RewardOptions& options) {
  std::optional<double> worst;  // score
  for (const Sample& sample : group.samples) {
    const std::optional<double>& score = sample.verdict.score;
    if (score.has_value()) worst = std::min(worst.value_or(*score), *score);
  }
  std::vector<Score> scores;
  scores.reserve(group.samples.size());
  for (const Sample& sample : group.samples) {
    const Verdict& verdict = sample.verdict;
    PONDER_CHECK(verdict.outcome != Verdict::Outcome::kError, "prompt ", group.prompt.id,
                 ", sample ", sample.rollout.key.sample_index,
                 ": nothing is known about the answer");
    Score score;
    score.correct = IsCorrect(sample);
    if (verdict.outcome != Verdict::Outcome::kScored) {
      score.correctness = score.correct ? 1 : options.wrong;
    }
    score.preference = options.preference_coef * verdict.score.value_or(worst.value_or(0));
    score.overlong = OverlongPenalty(static_cast<int64_t>(sample.rollout.tokens.size()), options);
    scores.push_back(score);
  }
  Normalise({}, &scores);
  return scores;
}

bool IsDegenerate(absl::Span<const Sample> samples) {
  return std::all_of(samples.begin(), samples.end(), [&](const Sample& sample) {
    return IsCorrect(sample) == IsCorrect(samples[0]) &&
           sample.verdict.score == samples[0].verdict.score;
  });
}

bool KnowsRightAndWrong(absl::Span<const Sample> samples) {
  return std::none_of(samples.begin(), samples.end(), [](const Sample& sample) {
    return sample.verdict.outcome == Verdict::Outcome::kScored;
  });
}

}  // namespace ponder::reward
