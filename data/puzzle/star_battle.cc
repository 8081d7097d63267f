// Star Battle: stars that don't touch, so many in every row, column and region.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/grid.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {
namespace {

constexpr int kTries = 200;  // to make regions of two stars

// Places `stars` a row from `row` on; `columns` has the stars of each column.
bool Place(std::vector<int>& board, std::vector<int>& columns, int row, int n, int stars,
           Rng& rng) {
  if (row == n) return true;
  const auto free = [&](int col) {
    if (columns[col] == stars) return false;
    for (int c = std::max(0, col - 1); row > 0 && c <= std::min(n - 1, col + 1); ++c) {
      if (board[(row - 1) * n + c] != 0) return false;
    }
    return true;
  };
  std::vector<std::vector<int>> choices;
  for (int a = 0; a < n; ++a) {
    if (!free(a)) continue;
    if (stars == 1) choices.push_back({a});
    for (int b = a + 2; stars == 2 && b < n; ++b) {
      if (free(b)) choices.push_back({a, b});
    }
  }
  Shuffle(choices, rng);
  for (const std::vector<int>& choice : choices) {
    for (const int col : choice) board[row * n + col] = 1, ++columns[col];
    if (Place(board, columns, row + 1, n, stars, rng)) return true;
    for (const int col : choice) board[row * n + col] = 0, --columns[col];
  }
  return false;
}

// One connected region around every star.
std::vector<int> Grow(const std::vector<int>& board, int n, Rng& rng) {
  std::vector<int> region(n * n, -1);
  std::vector<int> border;
  int next = 0;
  for (int cell = 0; cell < n * n; ++cell) {
    if (board[cell] == 0) continue;
    region[cell] = next++;
    border.push_back(cell);
  }
  while (!border.empty()) {
    const size_t i = rng.NextInt(0, border.size() - 1);
    std::vector<int> open;
    for (const int other : Neighbours(border[i], n, n)) {
      if (other >= 0 && region[other] < 0) open.push_back(other);
    }
    if (open.empty()) {
      std::swap(border[i], border.back());
      border.pop_back();
      continue;
    }
    const int cell = Pick(open, rng);
    region[cell] = region[border[i]];
    border.push_back(cell);
  }
  return region;
}

// Joins 2n regions, each with a neighbour, to n. False if the random choices leave one alone.
bool Pair(std::vector<int>& region, int n, Rng& rng) {
  std::vector<int> partner(2 * n, -1);
  int pairs = 0;
  for (const int cell : Permutation(n * n, rng)) {
    for (const int other : Neighbours(cell, n, n)) {
      if (other < 0) continue;
      const int a = region[cell], b = region[other];
      if (a == b || partner[a] >= 0 || partner[b] >= 0) continue;
      partner[a] = partner[b] = pairs++;
    }
  }
  if (pairs < n) return false;
  for (int& id : region) id = partner[id];
  return true;
}

}  // namespace

Puzzle MakeStarBattle(Rng& rng, int level) {
  const int n = level >= 8 ? level : Scale(level, 5, 11);
  int stars = level >= 8 ? 2 : 1;
  std::vector<int> board, region;
  for (int tries = 0;; ++tries) {
    if (tries == kTries) stars = 1;
    board.assign(n * n, 0);
    std::vector<int> columns(n);
    Place(board, columns, 0, n, stars, rng);
    region = Grow(board, n, rng);
    if (stars == 1 || Pair(region, n, rng)) break;
  }
  Puzzle puzzle;
  puzzle.instance.Set("n", n);
  puzzle.instance.Set("stars", stars);
  puzzle.instance.Set("region", region);
  puzzle.question = absl::StrCat(
      "Place stars in this grid, whose letters show its regions: every row, every column and every "
      "region has exactly ",
      stars, stars == 1 ? " star" : " stars", ", and no two stars touch, not even at a corner.\n\n",
      ShowMarks(region, n, "ABCDEFGHIJKLMNOP"), "\n\nAnswer with the ", n,
      " rows, one on a line: * for a star, . for an empty cell.");
  puzzle.solution = ShowMarks(board, n, ".*");
  return puzzle;
}

}  // namespace ponder::data::puzzle
