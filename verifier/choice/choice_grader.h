// Kind "choice": multiple choice, and short answers in science: numbers with units, chemical
// formulas, balanced equations. docs/puzzles.md has the policies.
#pragma once

#include "verifier/grader.h"

namespace ponder::verifier {

// Stateless, thread-safe. The gold is letters ("B", "AC", "A, C"), or a short answer, or JSON
// {"gold": letters or an option's text, "options": ["Paris", ...] or {"A": "Paris", ...}}.
// `Verdict::detail` is as in PuzzleGrader, and as in MathGrader for golds that are mathematics.
class ChoiceGrader final : public Grader {
 public:
  Verdict Grade(const Question& question, absl::Time deadline) const override;
  absl::Status CheckGold(absl::string_view gold) const override;
};

}  // namespace ponder::verifier
