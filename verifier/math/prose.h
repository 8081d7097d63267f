// Mathematics in running text.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace ponder::verifier::math {

// The last run of mathematics in a sentence: "so it costs 3 + 4 = 7 dollars" has "3 + 4 = 7
// dollars". Empty if there is none, or if the sentence denies it ("not 42").
std::string LastMathematics(absl::string_view sentence);

// The run that the text begins with, if it begins with one.
std::string LeadingMathematics(absl::string_view text);

// Whether there are words of a sentence in it ("is", "so", "we"): then it is no formula, even if it
// could be read as a product of letters.
bool IsProse(absl::string_view text);

// Splits off the last sentence: at ". ", "! ", "? ", "。" or a new line. `text` keeps what is
// before it.
absl::string_view EatLastSentence(absl::string_view* text);
// The first sentence.
absl::string_view FirstSentence(absl::string_view text);

}  // namespace ponder::verifier::math
