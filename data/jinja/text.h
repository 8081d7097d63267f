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
std::vector<std::string> SplitLines(absl::string_view text, bool keep_ends);

}  // namespace ponder::data::jinja
