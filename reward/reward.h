// From verdicts to numbers: rewards, advantages and which groups carry a signal. Pure arithmetic,
// so that stored verdicts can be scored again.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/types.h"

namespace ponder::reward {

struct RewardOptions {
  // DAPO's soft overlong punishment (arXiv 2503.14476, eq. 13).
  int64_t max_response_tokens = 0;  // L_max
  int64_t overlong_cache = 0;       // L_cache; 0: no punishment
  double wrong = 0;                 // reward of an answer that isn't correct; a correct one gets 1
  double preference_coef = 1;       // of the verdict's score
};

// 0 if |y| <= L_max - L_cache; (L_max - L_cache - |y|) / L_cache up to L_max; -1 beyond.
double OverlongPenalty(int64_t response_tokens, const RewardOptions& options);

// One Score a sample, in order. Correctness: 1 or `wrong`, 0 where there is no right or wrong;
// preference: preference_coef times the verdict's score, where an answer without one among scored
// ones counts as the worst of them; then the overlong penalty. A verdict of kError must not get
// here (checked). Advantage: (R_i - mean) / (std + 1e-6) over the group, population std (GRPO,
// arXiv 2402.03300); all zero for a group of one.
std::vector<Score> ScoreGroup(const Group& group, const RewardOptions& options);

// Whether every sample got the same correctness and the same score: by accuracy, not by shaped
// reward (DAPO's dynamic sampling).
bool IsDegenerate(absl::Span<const Sample> samples);
// Whether the verdicts know right and wrong: none of them is a score alone.
bool KnowsRightAndWrong(absl::Span<const Sample> samples);

}  // namespace ponder::reward
