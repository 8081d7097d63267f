// Kind "puzzle": an answer against the rules of its puzzle. docs/puzzles.md has the families.
#pragma once

#include "verifier/grader.h"

namespace ponder::verifier {

// Stateless, thread-safe. The gold is {"family": ..., "instance": {...}} (data/puzzle/instance.h).
// `Verdict::detail` is "" for correct and wrong; else one of "unclosed_thought", "unclosed_answer",
// "no_answer", "unparsable_answer" (kUnparsable), "unparsable_gold" (kError), "over_budget"
// (kTimeout).
class PuzzleGrader final : public Grader {
 public:
  Verdict Grade(const Question& question, absl::Time deadline) const override;
  absl::Status CheckGold(absl::string_view gold) const override;
};

}  // namespace ponder::verifier
