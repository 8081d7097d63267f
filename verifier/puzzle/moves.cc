// Mazes, sliding tiles and the Tower of Hanoi: the moves are carried out; an illegal one is wrong.
#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "data/puzzle/grid.h"
#include "data/puzzle/maze_path.h"
#include "verifier/puzzle/answer_reader.h"
#include "verifier/puzzle/checkers.h"

namespace ponder::verifier::puzzle {

Finding CheckMaze(InstanceReader& in, absl::string_view answer) {
  const std::vector<std::string> rows = in.Texts("rows", 1, 128);
  const bool shortest = in.Int("shortest", 0, 1) == 1;
  const int height = static_cast<int>(rows.size()), width = static_cast<int>(rows[0].size());
  int start = -1, goals = 0;
  for (int row = 0; row < height; ++row) {
    if (rows[row].empty() || rows[row].size() > 128 || rows[row].size() != rows[0].size()) {
      in.Fail("the maze is no rectangle");
      break;
    }
    for (int col = 0; col < width; ++col) {
      if (rows[row][col] == 'S') start = row * width + col;
      goals += rows[row][col] == 'G';
    }
  }
  if (start < 0 || goals != 1) in.Fail("the maze has no S or no single G");
  if (!in.ok()) return BadInstance(in);
  const std::optional<std::vector<int>> steps = ReadLetters(answer, "UDLR");
  if (!steps) return Unreadable("steps of the letters U, D, L and R");
  int cell = start;
  for (size_t i = 0; i < steps->size(); ++i) {
    cell = data::puzzle::Neighbours(cell, height, width)[(*steps)[i]];
    if (cell < 0 || rows[cell / width][cell % width] == '#')
      return Wrong(absl::StrCat("step ", i + 1, " leads into a wall or out of the maze"));
  }
  if (rows[cell / width][cell % width] != 'G') return Wrong("doesn't end at G");
  if (!shortest) return Correct();
  const size_t least = data::puzzle::ShortestPath(rows).size();
  if (steps->size() == least) return Correct();
  return Wrong(absl::StrCat(steps->size(), " steps, where ", least, " are enough"));
}

Finding CheckSliding(InstanceReader& in, absl::string_view answer) {
  const int n = in.Int("n", 2, 8);
  std::vector<int> tiles = in.Ints("tiles", n * n, 0, n * n - 1);
  const int most = in.Int("max_moves", 0, static_cast<int>(kMaxNumbers));
  std::vector<int> sorted = tiles;
  std::sort(sorted.begin(), sorted.end());
  for (int i = 0; i < n * n; ++i) {
    if (sorted[i] != i) in.Fail("a tile is missing");
  }
  if (!in.ok()) return BadInstance(in);
  const std::optional<std::vector<int>> moves = ReadNumbers(answer);
  if (!moves) return Unreadable("the numbers of tiles");
  if (static_cast<int>(moves->size()) > most) return Wrong(absl::StrCat("over ", most, " moves"));
  int gap = static_cast<int>(std::find(tiles.begin(), tiles.end(), 0) - tiles.begin());
  for (size_t i = 0; i < moves->size(); ++i) {
    const auto around = data::puzzle::Neighbours(gap, n, n);
    const auto at = std::find_if(around.begin(), around.end(),
                                 [&](int cell) { return cell >= 0 && tiles[cell] == (*moves)[i]; });
    if (at == around.end())
      return Wrong(absl::StrCat("move ", i + 1, ": tile ", (*moves)[i], " is not beside the gap"));
    std::swap(tiles[gap], tiles[*at]);
    gap = *at;
  }
  for (int i = 0; i < n * n; ++i) {
    if (tiles[i] != (i + 1) % (n * n)) return Wrong("the tiles are not in order");
  }
  return Correct();
}

Finding CheckHanoi(InstanceReader& in, absl::string_view answer) {
  std::vector<int> pegs = in.Ints("pegs", 1, 12, 0, 2);
  const int most = in.Int("max_moves", 0, static_cast<int>(kMaxNumbers) / 2);
  if (!in.ok()) return BadInstance(in);
  const std::optional<std::vector<int>> letters = ReadLetters(answer, "ABC");
  if (!letters || letters->size() % 2 != 0) return Unreadable("moves like AB BC");
  if (static_cast<int>(letters->size()) / 2 > most)
    return Wrong(absl::StrCat("over ", most, " moves"));
  for (size_t i = 0; i < letters->size(); i += 2) {
    const int from = (*letters)[i], to = (*letters)[i + 1];
    const auto top = std::find(pegs.begin(), pegs.end(), from);
    if (from == to || top == pegs.end() || std::find(pegs.begin(), top, to) != top)
      return Wrong(absl::StrCat("move ", i / 2 + 1, " is not allowed"));
    *top = to;
  }
  for (const int peg : pegs) {
    if (peg != 2) return Wrong("not all disks are on peg C");
  }
  return Correct();
}

}  // namespace ponder::verifier::puzzle
