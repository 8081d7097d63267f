// Python's string functions that filters and methods share, on valid UTF-8.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder::data::jinja {

// Characters of `set`, or white space if it is null, cut from the ends.
std::string Strip(absl::string_view text, const std::string* set, bool left, bool right);
// First character upper case, the rest lower.
std::string Capitalize(absl::string_view text);
// Each word capitalised; words are runs of letters.
std::string Title(absl::string_view text);
// At most `count` times, from the left; < 0: all.
std::string ReplaceText(absl::string_view text, absl::string_view from, absl::string_view to,
                        int64_t count);
// Filled up to `width` characters with `fill`, one character.
enum class Side { kLeft, kRight, kBoth };
std::string Pad(absl::string_view text, int64_t width, absl::string_view fill, Side side);

// As Python's str.isdigit and so on see a character.
bool IsUnicodeDigit(char32_t c);
bool IsDecimal(char32_t c);
bool IsNumeric(char32_t c);
bool IsAlphabetic(char32_t c);
bool IsAlphanumeric(char32_t c);

std::vector<std::string> SplitLines(absl::string_view text, bool keep_ends);

}  // namespace ponder::data::jinja
