// Sudoku, Futoshiki, Calcudoku and Skyscrapers: Latin squares with further rules.
#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "verifier/puzzle/answer_reader.h"
#include "verifier/puzzle/checkers.h"
#include "verifier/puzzle/grid_rules.h"

namespace ponder::verifier::puzzle {
namespace {

constexpr int kMaxSize = 25;

// The common part: a grid that keeps the givens and is Latin. `cells` is empty unless it is.
Finding ReadLatin(const data::puzzle::LatinRules& rules, const std::vector<int>& givens,
                  absl::string_view answer, std::vector<int>* cells) {
  const std::optional<std::vector<int>> grid = ReadGrid(answer, rules.n, rules.n);
  if (!grid) return Unreadable(absl::StrCat(rules.n, " rows of ", rules.n, " numbers"));
  std::string fault = GivenFault(*grid, givens, rules.n, 0);
  if (fault.empty()) fault = LatinFault(*grid, rules);
  if (!fault.empty()) return Wrong(fault);
  *cells = *grid;
  return Correct();
}

std::string CageFault(const std::vector<int>& values, const std::string& op, int result) {
  int64_t sum = 0, product = 1;
  for (const int value : values) {
    sum += value;
    product = std::min<int64_t>(product * value, INT32_MAX + int64_t{1});
  }
  const int high = *std::max_element(values.begin(), values.end()),
            low = *std::min_element(values.begin(), values.end());
  const bool right = op == "+"   ? sum == result
                     : op == "*" ? product == result
                     : op == "-" ? high - low == result
                     : op == "/" ? low * result == high
                                 : values[0] == result;
  return right ? "" : absl::StrCat("a cage doesn't give ", op == "=" ? "" : op, result);
}

}  // namespace

Finding CheckSudoku(InstanceReader& in, absl::string_view answer) {
  const int n = in.Int("n", 1, kMaxSize), box_rows = in.Int("box_rows", 1, n);
  const std::vector<int> givens = in.Ints("givens", n * n, 0, n);
  if (n % box_rows != 0) in.Fail("the boxes don't tile the grid");
  if (!in.ok()) return BadInstance(in);
  std::vector<int> cells;
  return ReadLatin({n, box_rows, {}}, givens, answer, &cells);
}

Finding CheckFutoshiki(InstanceReader& in, absl::string_view answer) {
  const int n = in.Int("n", 1, kMaxSize);
  const std::vector<int> givens = in.Ints("givens", n * n, 0, n);
  const std::vector<int> less = in.Ints("less", 0, 4 * n * n, 0, n * n - 1);
  if (less.size() % 2 != 0) in.Fail("'less' must be pairs of cells");
  if (!in.ok()) return BadInstance(in);
  data::puzzle::LatinRules rules{n, 0, {}};
  for (size_t i = 0; i < less.size(); i += 2) rules.less.push_back({less[i], less[i + 1]});
  std::vector<int> cells;
  return ReadLatin(rules, givens, answer, &cells);
}

Finding CheckCalcudoku(InstanceReader& in, absl::string_view answer) {
  const int n = in.Int("n", 1, kMaxSize);
  const std::vector<std::string> ops = in.Texts("ops", 1, n * n);
  const size_t cages = ops.size();
  const std::vector<int> results = in.Ints("results", cages, 0, INT32_MAX);
  const std::vector<int> cage = in.Ints("cage", n * n, 0, static_cast<int>(cages) - 1);
  std::vector<int> sizes(cages);
  for (const int id : cage) ++sizes[id];
  for (size_t id = 0; id < cages; ++id) {
    const bool pair = ops[id] == "-" || ops[id] == "/";
    const bool known = pair || ops[id] == "+" || ops[id] == "*" || ops[id] == "=";
    if (!known || sizes[id] == 0 || (pair && sizes[id] != 2) || (ops[id] == "=" && sizes[id] != 1))
      in.Fail("a cage has no cells, or an operation that doesn't suit them");
  }
  if (!in.ok()) return BadInstance(in);
  std::vector<int> cells;
  const Finding latin = ReadLatin({n, 0, {}}, {}, answer, &cells);
  if (cells.empty()) return latin;
  std::vector<std::vector<int>> values(cages);
  for (int cell = 0; cell < n * n; ++cell) values[cage[cell]].push_back(cells[cell]);
  for (size_t id = 0; id < cages; ++id) {
    const std::string fault = CageFault(values[id], ops[id], results[id]);
    if (!fault.empty()) return Wrong(fault);
  }
  return Correct();
}

Finding CheckSkyscrapers(InstanceReader& in, absl::string_view answer) {
  const int n = in.Int("n", 1, kMaxSize);
  const std::vector<int> clues = in.Ints("clues", 4 * n, 0, n);
  const std::vector<int> givens = in.Ints("givens", n * n, 0, n);
  if (!in.ok()) return BadInstance(in);
  std::vector<int> cells;
  const Finding latin = ReadLatin({n, 0, {}}, givens, answer, &cells);
  if (cells.empty()) return latin;
  constexpr const char* kSides[] = {"top", "bottom", "left", "right"};
  for (int i = 0; i < 4 * n; ++i) {
    if (clues[i] == 0) continue;
    const int side = i / n, line = i % n;
    int highest = 0, seen = 0;
    for (int k = 0; k < n; ++k) {
      const int depth = side % 2 == 0 ? k : n - 1 - k;
      const int height = side < 2 ? cells[depth * n + line] : cells[line * n + depth];
      if (height <= highest) continue;
      highest = height;
      ++seen;
    }
    if (seen != clues[i]) {
      return Wrong(absl::StrCat("from the ", kSides[side], " of line ", line + 1, " ", seen,
                                " are seen, not ", clues[i]));
    }
  }
  return Correct();
}

}  // namespace ponder::verifier::puzzle
