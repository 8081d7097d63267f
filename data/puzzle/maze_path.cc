#include "data/puzzle/maze_path.h"

#include <algorithm>

#include "data/puzzle/grid.h"

namespace ponder::data::puzzle {

std::string ShortestPath(const std::vector<std::string>& rows) {
  const int height = static_cast<int>(rows.size()), width = static_cast<int>(rows[0].size());
  std::vector<int> from(height * width, -1), queue;
  int goal = -1;
  for (int cell = 0; cell < height * width; ++cell) {
    if (rows[cell / width][cell % width] == 'G') goal = cell;
    if (rows[cell / width][cell % width] != 'S') continue;
    queue.push_back(cell);
    from[cell] = cell;
  }
  for (size_t i = 0; i < queue.size(); ++i) {
    for (const int next : Neighbours(queue[i], height, width)) {
      if (next < 0 || from[next] >= 0 || rows[next / width][next % width] == '#') continue;
      from[next] = queue[i];
      queue.push_back(next);
    }
  }
  std::string steps;
  if (goal < 0 || from[goal] < 0) return steps;
  for (int cell = goal; from[cell] != cell; cell = from[cell]) {
    const auto around = Neighbours(from[cell], height, width);
    steps.push_back("UDLR"[std::find(around.begin(), around.end(), cell) - around.begin()]);
  }
  std::reverse(steps.begin(), steps.end());
  return steps;
}

}  // namespace ponder::data::puzzle
