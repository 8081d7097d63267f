// Kind "math": the final answer of a response against a gold answer, by value.
#pragma once

#include "verifier/grader.h"

namespace ponder::verifier {

// Stateless, thread-safe. `Verdict::detail` is one of: "" (correct, wrong), "unclosed_thought",
// "unclosed_box", "no_answer", "unparsable_answer", "unparsable_gold".
class MathGrader final : public Grader {
 public:
  Verdict Grade(const Question& question, absl::Time deadline) const override;
  absl::Status CheckGold(absl::string_view gold) const override;
};

}  // namespace ponder::verifier
