// What the numbers of a minesweeper board prove.
#pragma once

#include <vector>

namespace ponder::data::puzzle {

constexpr int kHidden = -1;

// A board: 0 to 8 where a field is open, else kHidden. How many mines there are in all is unknown.
struct MineField {
  int rows = 0;
  int cols = 0;
  std::vector<int> shown;
};

enum class MineProof { kProven, kContradiction, kOverBudget };

// Every hidden field that holds a mine in all boards that fit the numbers, in order. Exact, or over
// budget.
MineProof ForcedMines(const MineField& field, std::vector<int>* mines);

}  // namespace ponder::data::puzzle
