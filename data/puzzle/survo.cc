// Survo: the numbers 1 to rows x columns, each once, with given sums.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/grid.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {

Puzzle MakeSurvo(Rng& rng, int level) {
  const int rows = Scale(level, 2, 5), cols = Scale(level, 3, 6);
  std::vector<int> solution = Permutation(rows * cols, rng);
  std::vector<int> row_sums(rows), col_sums(cols), givens(rows * cols);
  const int percent = Scale(level, 50, 20);
  for (int cell = 0; cell < rows * cols; ++cell) {
    const int value = ++solution[cell];
    row_sums[cell / cols] += value;
    col_sums[cell % cols] += value;
    if (Chance(rng, percent)) givens[cell] = value;
  }
  Puzzle puzzle;
  puzzle.instance.Set("rows", rows);
  puzzle.instance.Set("cols", cols);
  puzzle.instance.Set("row_sums", row_sums);
  puzzle.instance.Set("col_sums", col_sums);
  puzzle.instance.Set("givens", givens);
  puzzle.question = absl::StrCat(
      "Complete this grid with the numbers 1 to ", rows * cols,
      ", each used exactly once, so that the rows have the sums ", absl::StrJoin(row_sums, ", "),
      " (from top to bottom) and the columns the sums ", absl::StrJoin(col_sums, ", "),
      " (from left to right).\n\n", ShowNumbers(givens, cols), "\n\nAnswer with the ", rows,
      " rows of the full grid, one on a line, numbers separated by spaces.");
  puzzle.solution = ShowNumbers(solution, cols);
  return puzzle;
}

}  // namespace ponder::data::puzzle
