// Which hidden fields of a minesweeper board are certainly mines?
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/grid.h"
#include "data/puzzle/mines.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {

Puzzle MakeMinesweeper(Rng& rng, int level) {
  const int n = Scale(level, 4, 9), density = Scale(level, 15, 22);
  MineField field{n, n, {}};
  std::vector<int> mines;
  // The more boards prove nothing, the more is shown.
  for (int percent = Scale(level, 65, 45); mines.empty(); percent += percent < 100) {
    std::vector<bool> mine;
    for (int cell = 0; cell < n * n; ++cell) mine.push_back(Chance(rng, density));
    field.shown.assign(n * n, kHidden);
    for (int cell = 0; cell < n * n; ++cell) {
      if (mine[cell] || !Chance(rng, percent)) continue;
      int around = 0;
      for (int other = 0; other < n * n; ++other) {
        const int dr = other / n - cell / n, dc = other % n - cell % n;
        around += mine[other] && dr * dr <= 1 && dc * dc <= 1;
      }
      field.shown[cell] = around;
    }
    if (ForcedMines(field, &mines) != MineProof::kProven) mines.clear();
  }
  std::vector<int> symbols;
  for (const int shown : field.shown) symbols.push_back(shown + 1);
  Puzzle puzzle;
  puzzle.instance.Set("rows", n);
  puzzle.instance.Set("cols", n);
  puzzle.instance.Set("shown", field.shown);
  puzzle.question = absl::StrCat(
      "In this minesweeper board a number says how many of the up to eight fields around it hold a "
      "mine; ? is a hidden field, with a mine or without. How many mines there are in all is not "
      "known.\n\n",
      ShowMarks(symbols, n, "?012345678"),
      "\n\nWhich hidden fields certainly hold a mine? Answer with all of them and no others, as "
      "(row,column) counted from 1, for example (1,2) (3,4).");
  puzzle.solution = absl::StrJoin(mines, " ", [n](std::string* out, int cell) {
    absl::StrAppend(out, "(", cell / n + 1, ",", cell % n + 1, ")");
  });
  return puzzle;
}

}  // namespace ponder::data::puzzle
