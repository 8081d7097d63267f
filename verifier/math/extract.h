// Where in a response the final answer is.
//
// Only what follows the last </think> counts. In order of trust: boxes; '#### answer';
// <answer>...</answer>; the whole text, if it is mathematics and nothing else; what follows 'the
// answer is'; the last mathematics of the last line. Linear in the length of the response.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder::verifier::math {

enum class AnswerSource {
  kNone = 0,             // nothing that could be an answer
  kUnclosedThought = 1,  // a <think> without its </think>: cut off, there is no answer
  kUnclosedBox = 2,      // a \boxed{ without its brace: cut off
  kBoxed = 3,
  kHashes = 4,  // ####
  kTagged = 5,  // <answer>
  kWhole = 6,   // the text is the answer
  kPhrase = 7,  // the answer is
  kLastLine = 8,
};

// A value. `answers` is empty for the first three sources, has one element for most, and one for
// each different box, in order.
struct Extraction {
  AnswerSource source = AnswerSource::kNone;
  std::vector<std::string> answers;
  std::string sentence;  // for kPhrase and kLastLine: where it was found
};

Extraction ExtractAnswer(absl::string_view response);

// Every \boxed{...} and \fbox{...}, each different content once; a box inside another one is part
// of it; one that only keeps a place (\phantom{2}, ?, ___) has no content. kNone, kBoxed or
// kUnclosedBox.
Extraction FindBoxes(absl::string_view text);

// If `text` starts with a phrase that announces an answer ("answer is"), leaves what follows.
bool EatAnnouncement(absl::string_view* text);

// What follows the last thought. False: it is never closed.
bool AfterThought(absl::string_view response, absl::string_view* text);

}  // namespace ponder::verifier::math
