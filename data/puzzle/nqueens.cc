// Queens that don't attack each other, some of them given.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {
namespace {

bool Place(std::vector<int>& queens, int n, Rng& rng) {
  const int row = static_cast<int>(queens.size());
  if (row == n) return true;
  for (const int col : Permutation(n, rng)) {
    bool free = true;
    for (int above = 0; above < row && free; ++above) {
      const int distance = col - queens[above];
      free = distance != 0 && distance != row - above && distance != above - row;
    }
    if (!free) continue;
    queens.push_back(col);
    if (Place(queens, n, rng)) return true;
    queens.pop_back();
  }
  return false;
}

}  // namespace

Puzzle MakeNQueens(Rng& rng, int level) {
  const int n = Scale(level, 5, 14), given = Scale(level, 2, 3);
  std::vector<int> queens;
  Place(queens, n, rng);
  std::vector<int> givens(n), solution;  // columns from 1; 0: not given
  for (const int col : queens) solution.push_back(col + 1);
  const std::vector<int> order = Permutation(n, rng);
  for (int i = 0; i < given; ++i) givens[order[i]] = solution[order[i]];
  std::string board;
  for (const int col : givens) {
    std::string line(n, '.');
    if (col > 0) line[col - 1] = 'Q';
    absl::StrAppend(&board, line, "\n");
  }
  Puzzle puzzle;
  puzzle.instance.Set("n", n);
  puzzle.instance.Set("givens", givens);
  puzzle.question = absl::StrCat(
      "Add queens to this board so that there are ", n,
      " and no two share a row, a column or a diagonal. The given ones stay.\n\n", board,
      "\nAnswer with the column of each row's queen, from the first row to the last: ", n,
      " numbers from 1 to ", n, ", separated by spaces.");
  puzzle.solution = absl::StrJoin(solution, " ");
  return puzzle;
}

}  // namespace ponder::data::puzzle
