// Small procedures that are carried out step by step: what the procedure puzzles ask for.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder::data::puzzle {

constexpr absl::string_view kSort = "sort";    // words, by the alphabet or against it
constexpr absl::string_view kCount = "count";  // letters in words
constexpr absl::string_view kSwap = "swap";    // objects that change hands
constexpr absl::string_view kLife = "life";    // Conway's game of life
constexpr absl::string_view kProcedures[] = {kSort, kCount, kSwap, kLife};

std::vector<std::string> Sorted(std::vector<std::string> words, bool backwards);

// How often each of `letters` occurs in all words together.
std::vector<int> CountLetters(const std::vector<std::string>& words, absl::string_view letters);

// Exchanges what the persons pairs[0] and pairs[1] hold, then pairs[2] and pairs[3], and so on.
std::vector<std::string> Exchanged(std::vector<std::string> held, const std::vector<int>& pairs);

// The board after `steps` generations; beyond its edges everything is dead.
std::vector<int> Generations(std::vector<int> alive, int cols, int steps);

}  // namespace ponder::data::puzzle
