// The letters that an answer to a multiple-choice question chooses.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder::verifier::choice {

// A value.
struct Chosen {
  std::string letters;       // upper case, ascending, each once; empty: none could be read
  bool hedged = false;       // "A or B", or a letter with another option's text: no choice at all
  bool by_sentence = false;  // a sentence names the letter; weaker than a letter that stands alone
};

// Letters and nothing else: "B", "(b)", "AC", "C, A", "A and C"; as golds are written. Upper case
// letters up to `last` only; one lower-case letter alone is good too.
Chosen ReadLetters(absl::string_view text, char last);

// What an answer chooses: letters, "option B", "B. Paris", "B, because ...", the text of an option,
// or a sentence that names one letter. `options` may be empty: they aren't known.
Chosen ReadChoice(absl::string_view answer, const std::vector<std::string>& options);

}  // namespace ponder::verifier::choice
