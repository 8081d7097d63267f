// Sudoku of 4x4, 6x6, 9x9 and 16x16 with one solution.
#include "absl/strings/str_cat.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/grid.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {

Puzzle MakeSudoku(Rng& rng, int level) {
  struct Shape {
    int n, box_rows, clues;
  };
  constexpr Shape kShapes[] = {{4, 2, 9},  {4, 2, 6},  {6, 2, 18}, {6, 2, 12}, {9, 3, 45},
                               {9, 3, 38}, {9, 3, 32}, {9, 3, 28}, {9, 3, 24}, {16, 4, 150}};
  const Shape& shape = kShapes[level - 1];
  const LatinRules rules{shape.n, shape.box_rows, {}};
  const std::vector<int> solution = RandomLatin(shape.n, shape.box_rows, rng);
  const std::vector<int> givens = Dig(rules, solution, shape.clues, 2000, rng);
  Puzzle puzzle;
  puzzle.instance.Set("n", shape.n);
  puzzle.instance.Set("box_rows", shape.box_rows);
  puzzle.instance.Set("givens", givens);
  puzzle.question = absl::StrCat(
      "Complete this Sudoku: every row, every column and every box of ", shape.box_rows,
      " rows by ", shape.n / shape.box_rows, " columns has each of the numbers 1 to ", shape.n,
      " once.\n\n", ShowNumbers(givens, shape.n), "\n\nAnswer with the ", shape.n,
      " rows of the full grid, one on a line, numbers separated by spaces.");
  puzzle.solution = ShowNumbers(solution, shape.n);
  return puzzle;
}

}  // namespace ponder::data::puzzle
