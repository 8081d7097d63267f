// Where in a response the final answer is.
//
// Only what follows the last </think> counts. In order of trust: the last \boxed{} (or \fbox{}),
// '#### answer', a phrase such as 'the answer is', the last line that isn't empty. Linear in the
// length of the response.
#pragma once

#include "absl/strings/string_view.h"

namespace ponder::verifier {

enum class AnswerSource {
  kNone = 0,             // nothing but white space
  kUnclosedThought = 1,  // a <think> without its </think>: cut off, there is no answer
  kUnclosedBox = 2,      // a \boxed{ without its brace: cut off
  kBoxed = 3,
  kHashes = 4,  // ####
  kPhrase = 5,  // the answer is
  kLastLine = 6,
};

// A view into the response. `answer` is empty for the first three sources.
struct Extraction {
  AnswerSource source = AnswerSource::kNone;
  absl::string_view answer;
};

Extraction ExtractAnswer(absl::string_view response);

}  // namespace ponder::verifier
