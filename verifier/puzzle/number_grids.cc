// Survo and Numbrix: every number of a range once.
#include <cstdlib>
#include <optional>

#include "absl/strings/str_cat.h"
#include "verifier/puzzle/answer_reader.h"
#include "verifier/puzzle/checkers.h"
#include "verifier/puzzle/grid_rules.h"

namespace ponder::verifier::puzzle {
namespace {

constexpr int kMaxSide = 32;

}  // namespace

Finding CheckSurvo(InstanceReader& in, absl::string_view answer) {
  const int rows = in.Int("rows", 1, kMaxSide), cols = in.Int("cols", 1, kMaxSide);
  const int most = rows * cols * rows * cols;
  const std::vector<int> row_sums = in.Ints("row_sums", rows, 0, most);
  const std::vector<int> col_sums = in.Ints("col_sums", cols, 0, most);
  const std::vector<int> givens = in.Ints("givens", rows * cols, 0, rows * cols);
  if (!in.ok()) return BadInstance(in);
  const std::optional<std::vector<int>> cells = ReadGrid(answer, rows, cols);
  if (!cells) return Unreadable(absl::StrCat(rows, " rows of ", cols, " numbers"));
  std::string fault = GivenFault(*cells, givens, cols, 0);
  if (fault.empty()) fault = OnceFault(*cells);
  if (!fault.empty()) return Wrong(fault);
  std::vector<int> row_left = row_sums, col_left = col_sums;
  for (int cell = 0; cell < rows * cols; ++cell) {
    row_left[cell / cols] -= (*cells)[cell];
    col_left[cell % cols] -= (*cells)[cell];
  }
  for (int row = 0; row < rows; ++row) {
    if (row_left[row] != 0) return Wrong(absl::StrCat("row ", row + 1, " has another sum"));
  }
  for (int col = 0; col < cols; ++col) {
    if (col_left[col] != 0) return Wrong(absl::StrCat("column ", col + 1, " has another sum"));
  }
  return Correct();
}

Finding CheckNumbrix(InstanceReader& in, absl::string_view answer) {
  const int n = in.Int("n", 1, kMaxSide);
  const std::vector<int> givens = in.Ints("givens", n * n, 0, n * n);
  if (!in.ok()) return BadInstance(in);
  const std::optional<std::vector<int>> cells = ReadGrid(answer, n, n);
  if (!cells) return Unreadable(absl::StrCat(n, " rows of ", n, " numbers"));
  std::string fault = GivenFault(*cells, givens, n, 0);
  if (fault.empty()) fault = OnceFault(*cells);
  if (!fault.empty()) return Wrong(fault);
  std::vector<int> where(n * n);
  for (int cell = 0; cell < n * n; ++cell) where[(*cells)[cell] - 1] = cell;
  for (int i = 1; i < n * n; ++i) {
    const int distance =
        std::abs(where[i] / n - where[i - 1] / n) + std::abs(where[i] % n - where[i - 1] % n);
    if (distance != 1) return Wrong(absl::StrCat(i, " and ", i + 1, " are no neighbours"));
  }
  return Correct();
}

}  // namespace ponder::verifier::puzzle
