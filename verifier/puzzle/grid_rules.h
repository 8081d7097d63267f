// What the rules of grid puzzles share. Each returns "" or what is wrong, for people.
#pragma once

#include <string>
#include <vector>

#include "data/puzzle/grid.h"

namespace ponder::verifier::puzzle {

// "r2c3" for a cell.
std::string CellName(int cell, int cols);

// A given other than `blank` stays as it is.
std::string GivenFault(const std::vector<int>& cells, const std::vector<int>& givens, int cols,
                       int blank);

// Every row, column and box has 1 to n once, and the inequalities hold.
std::string LatinFault(const std::vector<int>& cells, const data::puzzle::LatinRules& rules);

// `cells` are 1 to their count, each once.
std::string OnceFault(const std::vector<int>& cells);

}  // namespace ponder::verifier::puzzle
