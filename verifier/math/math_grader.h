// Kind "math": the final answer of a response against a gold answer, by value. docs/verifier.md has
// the policies.
#pragma once

#include "verifier/grader.h"

namespace ponder::verifier {

// Stateless, thread-safe. `Verdict::detail` is "" for correct and wrong; else one of
// "unclosed_thought", "unclosed_box", "no_answer", "unparsable_answer" (kUnparsable),
// "unparsable_gold" (kError), "over_budget" (kTimeout).
class MathGrader final : public Grader {
 public:
  Verdict Grade(const Question& question, absl::Time deadline) const override;
  absl::Status CheckGold(absl::string_view gold) const override;
};

}  // namespace ponder::verifier
