// A way through a maze, any or a shortest one.
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/grid.h"
#include "data/puzzle/maze_path.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {
namespace {

// Corridors on odd cells, carved depth first; then some walls are opened, which makes loops.
std::vector<std::string> Carve(int size, int openings, Rng& rng) {
  std::vector<std::string> rows(size, std::string(size, '#'));
  std::vector<std::pair<int, int>> stack = {{1, 1}};
  rows[1][1] = '.';
  while (!stack.empty()) {
    const auto [row, col] = stack.back();
    std::vector<std::pair<int, int>> open;
    for (const auto& [dr, dc] : {std::pair(-2, 0), {2, 0}, {0, -2}, {0, 2}}) {
      const int r = row + dr, c = col + dc;
      if (r > 0 && r < size && c > 0 && c < size && rows[r][c] == '#') open.push_back({r, c});
    }
    if (open.empty()) {
      stack.pop_back();
      continue;
    }
    const auto next = Pick(open, rng);
    rows[next.first][next.second] = '.';
    rows[(row + next.first) / 2][(col + next.second) / 2] = '.';
    stack.push_back(next);
  }
  for (int i = 0; i < openings; ++i) {
    rows[Draw(rng, 1, size - 2)][Draw(rng, 1, size - 2)] = '.';
  }
  return rows;
}

}  // namespace

Puzzle MakeMaze(Rng& rng, int level) {
  const int size = 2 * Scale(level, 2, 11) + 1;
  const bool shortest = level % 2 == 0;
  std::vector<std::string> rows = Carve(size, shortest ? size : size / 2, rng);
  rows[1][1] = 'S';
  rows[size - 2][size - 2] = 'G';
  Puzzle puzzle;
  puzzle.instance.Set("rows", rows);
  puzzle.instance.Set("shortest", shortest ? 1 : 0);
  puzzle.question = absl::StrCat(
      "Find ", shortest ? "a shortest way" : "a way",
      " from S to G in this maze, where # is a wall. A step goes one cell up (U), down (D), left "
      "(L) or right (R).\n\n",
      absl::StrJoin(rows, "\n"), "\n\nAnswer with the letters of the steps, for example RRD.");
  puzzle.solution = ShortestPath(rows);
  return puzzle;
}

}  // namespace ponder::data::puzzle
