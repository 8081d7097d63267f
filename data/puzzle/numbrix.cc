// Numbrix: 1 to n*n along a path of neighbours.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/grid.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {

Puzzle MakeNumbrix(Rng& rng, int level) {
  const int n = Scale(level, 3, 10);
  std::vector<int> path;
  for (int cell = 0; cell < n * n; ++cell) {
    const int row = cell / n, col = cell % n;
    path.push_back(row * n + (row % 2 == 0 ? col : n - 1 - col));
  }
  // Backbite moves (Oberdorf et al., 2006): an end bites the path, which is turned over from there.
  for (int move = 0; move < 10 * n * n; ++move) {
    if (Chance(rng, 50)) std::reverse(path.begin(), path.end());
    const int other = Neighbours(path.back(), n, n)[Draw(rng, 0, 3)];
    if (other < 0) continue;
    std::reverse(std::find(path.begin(), path.end(), other) + 1, path.end());
  }
  std::vector<int> solution(n * n), givens(n * n);
  const int percent = Scale(level, 50, 25);
  for (int i = 0; i < n * n; ++i) {
    solution[path[i]] = i + 1;
    if (i == 0 || i == n * n - 1 || Chance(rng, percent)) givens[path[i]] = i + 1;
  }
  Puzzle puzzle;
  puzzle.instance.Set("n", n);
  puzzle.instance.Set("givens", givens);
  puzzle.question = absl::StrCat(
      "Complete this grid with the numbers 1 to ", n * n,
      ", each used once, so that every two consecutive numbers are in cells that share a side.\n\n",
      ShowNumbers(givens, n), "\n\nAnswer with the ", n,
      " rows of the full grid, one on a line, numbers separated by spaces.");
  puzzle.solution = ShowNumbers(solution, n);
  return puzzle;
}

}  // namespace ponder::data::puzzle
