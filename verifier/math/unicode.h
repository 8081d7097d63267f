// Mathematics written with Unicode characters, as LaTeX.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace ponder::verifier::math {

// Full-width forms, mathematical letters and digits become ASCII; "½" "\frac{1}{2}", "x²" "x^{2}",
// "π" "\pi ", "≤" "\le ", "√"
// "\sqrt "; CJK punctuation ASCII punctuation; odd spaces a space; what is invisible nothing.
// Letters of other scripts stay as they are, so that a Cyrillic "х" is not an "x". What is not
// UTF-8 becomes U+FFFD.
std::string ToLatex(absl::string_view text);

// One code point off the front of `text`, which isn't empty. U+FFFD for a byte that is not UTF-8.
char32_t EatCodePoint(absl::string_view* text);
void AppendUtf8(char32_t code_point, std::string* out);

// Han, kana, Hangul, and the other letters that no one uses as a variable.
bool IsCjk(char32_t code_point);

}  // namespace ponder::verifier::math
