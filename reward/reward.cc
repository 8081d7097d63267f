#include "reward/reward.h"

#include <algorithm>

#include "base/check.h"
#include "reward/advantage.h"

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
  std::vector<Score> scores;
  scores.reserve(group.samples.size());
  for (const Sample& sample : group.samples) {
    PONDER_CHECK(sample.verdict.outcome != Verdict::Outcome::kError, "prompt ", group.prompt.id,
                 ", sample ", sample.rollout.key.sample_index,
                 ": nothing is known about the answer");
    Score score;
    score.correct = IsCorrect(sample);
    score.correctness = score.correct ? 1 : options.wrong;
    score.overlong = OverlongPenalty(static_cast<int64_t>(sample.rollout.tokens.size()), options);
    score.reward = score.correctness + score.overlong;
    scores.push_back(score);
  }
  std::vector<double> rewards;
  for (const Score& score : scores) rewards.push_back(score.reward);
  const std::vector<double> advantages = GroupNormalised(rewards);
  for (size_t i = 0; i < scores.size(); ++i) scores[i].advantage = advantages[i];
  return scores;
}

bool IsDegenerate(absl::Span<const Sample> samples) {
  return std::all_of(samples.begin(), samples.end(), [&](const Sample& sample) {
    return IsCorrect(sample) == IsCorrect(samples[0]);
  });
}

}  // namespace ponder::reward
