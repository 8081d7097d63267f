// Latin squares seen from the side: how many towers are visible.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/grid.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {
namespace {

int Visible(const std::vector<int>& cells, int start, int step, int n) {
  int highest = 0, seen = 0;
  for (int i = 0; i < n; ++i) {
    const int height = cells[start + i * step];
    if (height <= highest) continue;
    highest = height;
    ++seen;
  }
  return seen;
}

std::string ShowSide(const std::vector<int>& clues, int side, int n) {
  return absl::StrJoin(clues.begin() + side * n, clues.begin() + (side + 1) * n, " ",
                       [](std::string* out, int clue) {
                         absl::StrAppend(out, clue == 0 ? "-" : absl::StrCat(clue));
                       });
}

}  // namespace

Puzzle MakeSkyscrapers(Rng& rng, int level) {
  const int n = level <= 2 ? 4 : level <= 5 ? 5 : level <= 8 ? 6 : 7;
  const int hidden_percent = Scale(level, 0, 35), given_percent = Scale(level, 30, 10);
  const std::vector<int> solution = RandomLatin(n, 0, rng);
  // Sides: top, bottom, left, right.
  std::vector<int> clues;
  for (int i = 0; i < n; ++i) clues.push_back(Visible(solution, i, n, n));
  for (int i = 0; i < n; ++i) clues.push_back(Visible(solution, n * n - n + i, -n, n));
  for (int i = 0; i < n; ++i) clues.push_back(Visible(solution, i * n, 1, n));
  for (int i = 0; i < n; ++i) clues.push_back(Visible(solution, i * n + n - 1, -1, n));
  for (int& clue : clues) {
    if (Chance(rng, hidden_percent)) clue = 0;
  }
  std::vector<int> givens = solution;
  for (int& given : givens) {
    if (!Chance(rng, given_percent)) given = 0;
  }
  Puzzle puzzle;
  puzzle.instance.Set("n", n);
  puzzle.instance.Set("clues", clues);
  puzzle.instance.Set("givens", givens);
  puzzle.question = absl::StrCat(
      "Fill in this Skyscrapers puzzle: every row and every column has each of the heights 1 to ",
      n,
      " once. A clue at a side says how many towers are seen from there, where taller ones hide "
      "the shorter ones behind them; - is no clue.\n\nTop, from left to right: ",
      ShowSide(clues, 0, n), "\nBottom, from left to right: ", ShowSide(clues, 1, n),
      "\nLeft, from top to bottom: ", ShowSide(clues, 2, n),
      "\nRight, from top to bottom: ", ShowSide(clues, 3, n), "\n\n", ShowNumbers(givens, n),
      "\n\nAnswer with the ", n, " rows, one on a line, numbers separated by spaces.");
  puzzle.solution = ShowNumbers(solution, n);
  return puzzle;
}

}  // namespace ponder::data::puzzle
