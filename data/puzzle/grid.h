// What puzzles on square grids share: cells are numbered row by row from 0, 0 means empty.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/philox.h"

namespace ponder::data::puzzle {

// Rows of numbers, separated by spaces; "." for 0.
std::string ShowNumbers(const std::vector<int>& cells, int cols);
// Rows of characters: symbols[cells[i]].
std::string ShowMarks(const std::vector<int>& cells, int cols, absl::string_view symbols);

// The up to four cells beside a cell: up, down, left, right; -1 where the grid ends.
std::array<int, 4> Neighbours(int cell, int rows, int cols);

// A Latin square of 1 to n; each row, column and, if box_rows > 0, box of box_rows x (n / box_rows)
// has every number once; `less` lists pairs of cells of which the first is smaller. A value.
struct LatinRules {
  int n = 0;
  int box_rows = 0;
  std::vector<std::pair<int, int>> less;

  int Box(int cell) const {
    const int box_cols = n / box_rows;
    return cell / n / box_rows * box_rows + cell % n / box_cols;
  }
};

// A random square, made of a cyclic one by exchanging rows, columns, bands and numbers.
std::vector<int> RandomLatin(int n, int box_rows, Rng& rng);

// Whether `cells`, 0 for empty, can be filled in exactly one way. False also when more than
// `budget` fields would have to be tried.
bool HasOneSolution(const LatinRules& rules, const std::vector<int>& cells, int budget);

// Empties cells of a solution in random order, as long as more than `clues` are left and there is
// still one solution.
std::vector<int> Dig(const LatinRules& rules, const std::vector<int>& solution, int clues,
                     int budget, Rng& rng);

}  // namespace ponder::data::puzzle
