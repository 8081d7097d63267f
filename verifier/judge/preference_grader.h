// Kinds "reward" and "preference": how good an answer is, where there is no right or wrong.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "verifier/counters.h"
#include "verifier/grader.h"
#include "verifier/graders.h"
#include "verifier/judge/chat_model.h"
#include "verifier/judge/score_model.h"

namespace ponder::verifier {

// What both kinds are asked. The gold is a JSON object:
//
//   {"messages": [{"role", "content"}, ...],  what the policy was shown
//    "reference": text,                       preference: the answer to compare with
//    "check": {"kind", "gold"}}               optional: a rule that says right or wrong beside
//
// A value.
struct PreferenceQuestion {
  std::vector<Message> messages;
  std::string reference;
  std::string check_kind, check_gold;  // empty: no check
};
// InvalidArgument says what is wrong with it.
absl::StatusOr<PreferenceQuestion> ReadPreferenceQuestion(absl::string_view gold);

// Scores answers by a model. The verdict has outcome kScored, or what the check says, and a score.
// An answer is what follows the thought; a cut-off thought, and an answer that says nothing or
// speaks to the judge (PleadsWithTheJudge), is kUnparsable without a score, so is one over
// kMaxScored bytes. A model that can't be asked is kError, one that is late kTimeout. Thread-safe.
class ScoringGrader : public Grader {
 public:
  static constexpr size_t kMaxScored = 256 << 10;

  // `rules`, for checks, and `counters` outlive it.
  ScoringGrader(absl::Duration timeout, const Graders* rules, Counters* counters)
      : timeout_(timeout), rules_(*rules), counters_(*counters) {}

  Verdict Grade(const Question& question, absl::Time deadline) const override;
  absl::Status CheckGold(absl::string_view gold) const override;
  Pace pace() const override { return Pace::kModels; }

 protected:
  virtual absl::StatusOr<double> Score(const PreferenceQuestion& question,
                                       const std::string& answer, absl::Time deadline) const = 0;
  virtual bool needs_reference() const = 0;

 private:
  const absl::Duration timeout_;
  const Graders& rules_;
  Counters& counters_;
};

// Kind "reward": a Bradley-Terry reward model's score (`ponder rm`).
class RewardGrader final : public ScoringGrader {
 public:
  // `model` outlives it.
  RewardGrader(absl::Duration timeout, const ScoreModel& model, const Graders* rules,
               Counters* counters)
      : ScoringGrader(timeout, rules, counters), model_(model) {}

 private:
  absl::StatusOr<double> Score(const PreferenceQuestion& question, const std::string& answer,
                               absl::Time deadline) const override;
  bool needs_reference() const override { return false; }

  const ScoreModel& model_;
};

// Kind "preference": a pairwise generative reward model. It is shown question, answer and
// reference, and says whether the first of the two is the better one, in both orders:
//
//   score = (P(YES | answer first) + 1 - P(YES | reference first)) / 2
class PairwiseGrader final : public ScoringGrader {
 public:
  // `model` outlives it.
  PairwiseGrader(absl::Duration timeout, const RulingModel& model, const Graders* rules,
                 Counters* counters)
      : ScoringGrader(timeout, rules, counters), model_(model) {}

 private:
  absl::StatusOr<double> Score(const PreferenceQuestion& question, const std::string& answer,
                               absl::Time deadline) const override;
  bool needs_reference() const override { return true; }

  const RulingModel& model_;
};

extern const char kPairwiseSystemPrompt[];
// Everything fenced (judge_prompt.h).
std::string PairwiseUserPrompt(const std::vector<Message>& messages, absl::string_view first,
                               absl::string_view second);

}  // namespace ponder::verifier
