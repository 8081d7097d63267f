// Latin squares with cages whose numbers give a result.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/grid.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {
namespace {

// Which operation a cage has, and its result.
std::pair<std::string, int> Label(const std::vector<int>& values, Rng& rng) {
  if (values.size() == 1) return {"=", values[0]};
  const int high = std::max(values[0], values[1]), low = std::min(values[0], values[1]);
  if (values.size() == 2 && high % low == 0 && Chance(rng, 60)) return {"/", high / low};
  if (values.size() == 2 && Chance(rng, 50)) return {"-", high - low};
  int sum = 0, product = 1;
  for (const int value : values) {
    sum += value;
    product *= value;
  }
  return Chance(rng, 50) ? std::pair<std::string, int>("+", sum)
                         : std::pair<std::string, int>("*", product);
}

}  // namespace

Puzzle MakeCalcudoku(Rng& rng, int level) {
  const int n = level <= 2 ? 3 : level <= 4 ? 4 : level <= 6 ? 5 : level <= 8 ? 6 : 7;
  const int largest = level <= 3 ? 2 : level <= 7 ? 3 : 4;
  const std::vector<int> solution = RandomLatin(n, 0, rng);
  std::vector<int> cage(n * n, -1);
  std::vector<std::string> ops;
  std::vector<int> results;
  std::string list;
  for (const int start : Permutation(n * n, rng)) {
    if (cage[start] >= 0) continue;
    const int id = static_cast<int>(ops.size());
    const size_t size = Draw(rng, 1 + (level > 1), largest);
    std::vector<int> cells = {start};
    cage[start] = id;
    for (size_t grown = 0; cells.size() < size && grown < cells.size(); ++grown) {
      for (const int other : Neighbours(cells[grown], n, n)) {
        if (other < 0 || cage[other] >= 0 || cells.size() == size || Chance(rng, 30)) continue;
        cage[other] = id;
        cells.push_back(other);
      }
    }
    std::vector<int> values;
    std::vector<std::string> names;
    for (const int cell : cells) {
      values.push_back(solution[cell]);
      names.push_back(absl::StrCat("r", cell / n + 1, "c", cell % n + 1));
    }
    const auto [op, result] = Label(values, rng);
    ops.push_back(op);
    results.push_back(result);
    absl::StrAppend(&list, absl::StrJoin(names, " "), ": ", op == "=" ? "" : op, result, "\n");
  }
  Puzzle puzzle;
  puzzle.instance.Set("n", n);
  puzzle.instance.Set("cage", cage);
  puzzle.instance.Set("ops", ops);
  puzzle.instance.Set("results", results);
  puzzle.question = absl::StrCat(
      "Fill a grid of ", n, " rows and ", n,
      " columns so that every row and every column has each "
      "of the numbers 1 to ",
      n,
      " once, and the numbers of each cage give its result: their sum "
      "(+), product (*), the larger minus the smaller (-), or the larger divided by the smaller "
      "(/). Cages (r1c2 is the cell in row 1, column 2):\n\n",
      list, "\nAnswer with the ", n, " rows, one on a line, numbers separated by spaces.");
  puzzle.solution = ShowNumbers(solution, n);
  return puzzle;
}

}  // namespace ponder::data::puzzle
