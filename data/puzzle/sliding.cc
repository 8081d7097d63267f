// Sliding tiles into order: the 8- and 15-puzzle.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/grid.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {

Puzzle MakeSliding(Rng& rng, int level) {
  const int n = level <= 6 ? 3 : 4, depth = Scale(level, 3, 30);
  std::vector<int> tiles;
  for (int i = 1; i < n * n; ++i) tiles.push_back(i);
  tiles.push_back(0);
  const std::vector<int> goal = tiles;
  int gap = n * n - 1;
  std::vector<int> moved;
  // Back from the goal, never undoing the last move; on if that leads to the goal again.
  while (static_cast<int>(moved.size()) < depth || tiles == goal) {
    const int next = Neighbours(gap, n, n)[Draw(rng, 0, 3)];
    if (next < 0 || (!moved.empty() && tiles[next] == moved.back())) continue;
    moved.push_back(tiles[next]);
    std::swap(tiles[gap], tiles[next]);
    gap = next;
  }
  std::reverse(moved.begin(), moved.end());
  Puzzle puzzle;
  puzzle.instance.Set("n", n);
  puzzle.instance.Set("tiles", tiles);
  puzzle.instance.Set("max_moves", static_cast<int>(moved.size()));
  puzzle.question = absl::StrCat(
      "Slide the tiles of this puzzle into order. A move slides a tile that is beside the gap (.) "
      "into it.\n\n",
      ShowNumbers(tiles, n), "\n\nThe goal, in at most ", moved.size(), " moves:\n\n",
      ShowNumbers(goal, n),
      "\n\nAnswer with the tiles in the order that they are moved, separated by spaces.");
  puzzle.solution = absl::StrJoin(moved, " ");
  return puzzle;
}

}  // namespace ponder::data::puzzle
