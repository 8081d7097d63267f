// UTF-8 and the few Unicode facts that tokenizers need; normal forms by ICU. Pure functions.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace ponder::data {

// One step through text that may be broken.
struct Utf8Step {
  char32_t code = 0xFFFD;
  size_t length = 1;  // bytes of the character; if invalid, of the part that one U+FFFD replaces
  bool valid = false;
  bool truncated = false;  // invalid only because the text ends here
};
Utf8Step NextUtf8(absl::string_view text, size_t position);
void AppendUtf8(char32_t code, std::string* text);

bool IsAscii(absl::string_view text);
bool IsValidUtf8(absl::string_view text);
// Each maximal invalid part becomes one U+FFFD, as browsers, Python and Rust do it.
std::string ReplaceInvalidUtf8(absl::string_view text);
// `text`, or, if it is not valid, what replaces it, kept in *storage.
absl::string_view ValidUtf8(absl::string_view text, std::string* storage);
// How many bytes at the end begin a character that is not whole yet: 0 to 3.
size_t IncompleteTail(absl::string_view text);

// The byte lengths of the white space (Unicode's White_Space) that opens or closes a valid text.
size_t LeadingWhitespace(absl::string_view text);
size_t TrailingWhitespace(absl::string_view text);
// Whether a valid text begins or ends with a character of a word: letter, mark, decimal digit,
// connector.
bool BeginsWithWord(absl::string_view text);
bool EndsWithWord(absl::string_view text);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
// Of valid text.
std::string Normalize(NormalForm form, absl::string_view text);
// Each character's own lower case, without context.
std::string LowerCase(absl::string_view text);
// Of the text as a whole, by Unicode's rules without a language.
std::string UpperCase(absl::string_view text);

}  // namespace ponder::data
