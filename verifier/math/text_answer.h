// Answers in words: "Evelyn", "odd", "no solution", "(C)".
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace ponder::verifier::math {

// Lower case, without LaTeX, Markdown, punctuation and articles; words one space apart.
std::string NormalText(absl::string_view text);

// The same answer in words. Lists of words, with commas, in any order. Never true for two empty
// texts.
bool SameText(absl::string_view gold, absl::string_view answer);

// Letter for letter, but for spaces, delimiters and sizes of brackets. Never true for two empty
// texts.
bool SameSpelling(absl::string_view gold, absl::string_view answer);

// Whether the text has words of at least two letters and no numbers: an answer in words rather than
// in mathematics.
bool IsWordy(absl::string_view text);

// "B", "(B)", "B. Paris", "\text{(B)}": the letter of a choice; 0 if it is none.
char ChoiceOf(absl::string_view text);

// The letter that a sentence chooses: "I think it's B", "B, not A"; 0 if none or several.
char ChosenLetter(absl::string_view sentence);

// "four" -> "4", "no solution" -> "\emptyset", "all real numbers" -> "\mathbb{R}". nullopt for
// other words.
std::optional<std::string> WordsAsMath(absl::string_view text);

}  // namespace ponder::verifier::math
