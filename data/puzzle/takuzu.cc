// Takuzu (Binairo): zeros and ones, balanced, no three alike in a row, no two lines alike.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/grid.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {
namespace {

// Whether cell `at`, the last one filled (row by row), fits what is before it.
bool Fits(const std::vector<int>& cells, int at, int n) {
  const int row = at / n, col = at % n;
  for (const auto& [place, step] : {std::pair(col, 1), std::pair(row, n)}) {
    if (place >= 2 && cells[at - step] == cells[at] && cells[at - 2 * step] == cells[at])
      return false;
    int same = 0;
    for (int i = 0; i <= place; ++i) same += cells[at - i * step] == cells[at];
    if (same > n / 2) return false;
    if (place != n - 1) continue;
    // A finished line: unlike the finished ones before it.
    const int across = step == 1 ? n : 1, before = step == 1 ? row : col;
    for (int k = 1; k <= before; ++k) {
      bool alike = true;
      for (int i = 0; i < n && alike; ++i)
        alike = cells[at - i * step] == cells[at - i * step - k * across];
      if (alike) return false;
    }
  }
  return true;
}

bool Fill(std::vector<int>& cells, int at, int n, int& budget, Rng& rng) {
  if (at == n * n) return true;
  const int first = Draw(rng, 0, 1);
  for (const int value : {first, 1 - first}) {
    if (--budget < 0) return false;
    cells[at] = value;
    if (Fits(cells, at, n) && Fill(cells, at + 1, n, budget, rng)) return true;
  }
  return false;
}

}  // namespace

Puzzle MakeTakuzu(Rng& rng, int level) {
  const int n = level <= 1 ? 4 : level <= 4 ? 6 : level <= 7 ? 8 : level <= 9 ? 10 : 12;
  std::vector<int> solution(n * n);
  for (int budget = 5000; !Fill(solution, 0, n, budget, rng);) budget = 5000;
  const int percent = Scale(level, 60, 30);
  std::vector<int> givens;  // 2: empty
  for (const int value : solution) givens.push_back(Chance(rng, percent) ? value : 2);
  Puzzle puzzle;
  puzzle.instance.Set("n", n);
  puzzle.instance.Set("givens", givens);
  puzzle.question = absl::StrCat(
      "Fill this grid with 0 and 1: every row and every column has as many 0 as 1, nowhere are "
      "three alike next to each other in a row or a column, no two rows are equal, and no two "
      "columns are.\n\n",
      ShowMarks(givens, n, "01."), "\n\nAnswer with the ", n, " rows, one on a line.");
  puzzle.solution = ShowMarks(solution, n, "01");
  return puzzle;
}

}  // namespace ponder::data::puzzle
