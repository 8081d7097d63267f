// Reads the answers to puzzles: numbers, grids, words. Strict: what isn't expected makes the whole
// answer unreadable rather than be passed over.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder::verifier::puzzle {

constexpr size_t kMaxNumbers = 8192;

// Whole numbers of up to 9 digits between spaces, commas, semicolons, bars and brackets.
std::optional<std::vector<int>> ReadNumbers(absl::string_view text);

// rows x cols numbers; one-digit numbers may stand without spaces.
std::optional<std::vector<int>> ReadGrid(absl::string_view text, int rows, int cols);

// rows x cols of `symbols`, by their index; spaces, commas, bars and brackets don't count.
std::optional<std::vector<int>> ReadMarks(absl::string_view text, int rows, int cols,
                                          absl::string_view symbols);

// The words of letters, digits and '_', as they are; everything else separates.
std::vector<std::string> ReadWords(absl::string_view text);

// One of `names` after the other: "A->B, B->C" gives 0, 1, 1, 2 for "ABC". Spaces, line breaks,
// commas, semicolons, arrows and 'to' separate.
std::optional<std::vector<int>> ReadLetters(absl::string_view text, absl::string_view names);

}  // namespace ponder::verifier::puzzle
