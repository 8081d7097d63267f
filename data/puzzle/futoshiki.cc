// Latin squares with inequalities between neighbours, with one solution.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/grid.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {

Puzzle MakeFutoshiki(Rng& rng, int level) {
  const int n = level <= 2 ? 4 : level <= 5 ? 5 : level <= 7 ? 6 : level <= 9 ? 7 : 9;
  const std::vector<int> solution = RandomLatin(n, 0, rng);
  std::vector<std::pair<int, int>> pairs;
  for (int cell = 0; cell < n * n; ++cell) {
    const auto around = Neighbours(cell, n, n);
    for (const int other : {around[1], around[3]}) {
      if (other < 0) continue;
      pairs.push_back(solution[cell] < solution[other] ? std::pair(cell, other)
                                                       : std::pair(other, cell));
    }
  }
  Shuffle(pairs, rng);
  pairs.resize(n * n / 2);
  std::sort(pairs.begin(), pairs.end());
  const LatinRules rules{n, 0, pairs};
  const int clues = n * n * Scale(level, 50, 15) / 100;
  const std::vector<int> givens = Dig(rules, solution, clues, 500, rng);

  std::vector<int> less;
  std::string inequalities;
  for (const auto& [low, high] : pairs) {
    less.push_back(low);
    less.push_back(high);
    absl::StrAppend(&inequalities, "r", low / n + 1, "c", low % n + 1, " < r", high / n + 1, "c",
                    high % n + 1, "\n");
  }
  Puzzle puzzle;
  puzzle.instance.Set("n", n);
  puzzle.instance.Set("givens", givens);
  puzzle.instance.Set("less", less);
  puzzle.question = absl::StrCat(
      "Complete this Futoshiki: every row and every column has each of the numbers 1 to ", n,
      " once, and the inequalities hold (r1c2 is the cell in row 1, column 2).\n\n",
      ShowNumbers(givens, n), "\n\n", inequalities, "\nAnswer with the ", n,
      " rows of the full grid, one on a line, numbers separated by spaces.");
  puzzle.solution = ShowNumbers(solution, n);
  return puzzle;
}

}  // namespace ponder::data::puzzle
