// The final answers in a response, as plain text that may have several lines: for graders of
// puzzles and choices. (Mathematics is found by verifier/math/extract.h.)
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder::verifier {

// A value.
struct FinalAnswers {
  // Every different one in the most trusted place where there is any. All of them count: a wrong
  // one beside a right one is wrong.
  std::vector<std::string> texts;
  std::string missing;  // if there is none: "unclosed_thought", "unclosed_answer" or "no_answer"
};

// Looks after the last </think>. In order of trust: <answer>...</answer>; boxes; fenced blocks;
// what follows 'the answer is'; the whole text. Linear in the length of the response.
FinalAnswers FindFinalAnswers(absl::string_view response);

// Without what only sets the text: $, \( \) \[ \], \text{}, \mathrm{}, ** around it.
std::string WithoutMarkup(absl::string_view text);

}  // namespace ponder::verifier
