// Takuzu, Star Battle and N-queens: grids of marks.
#include <cstdlib>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "verifier/puzzle/answer_reader.h"
#include "verifier/puzzle/checkers.h"
#include "verifier/puzzle/grid_rules.h"

namespace ponder::verifier::puzzle {

Finding CheckTakuzu(InstanceReader& in, absl::string_view answer) {
  const int n = in.Int("n", 2, 32);
  const std::vector<int> givens = in.Ints("givens", n * n, 0, 2);
  if (n % 2 != 0) in.Fail("'n' must be even");
  if (!in.ok()) return BadInstance(in);
  const std::optional<std::vector<int>> cells = ReadMarks(answer, n, n, "01");
  if (!cells) return Unreadable(absl::StrCat(n, " rows of ", n, " digits 0 or 1"));
  const std::string fault = GivenFault(*cells, givens, n, 2);
  if (!fault.empty()) return Wrong(fault);
  for (const bool by_row : {true, false}) {
    const char* const name = by_row ? "row " : "column ";
    std::set<std::vector<int>> lines;
    for (int i = 0; i < n; ++i) {
      std::vector<int> line;
      int ones = 0;
      for (int k = 0; k < n; ++k) {
        line.push_back((*cells)[by_row ? i * n + k : k * n + i]);
        ones += line[k];
        if (k >= 2 && line[k] == line[k - 1] && line[k] == line[k - 2])
          return Wrong(absl::StrCat("three alike in ", name, i + 1));
      }
      if (2 * ones != n) return Wrong(absl::StrCat(name, i + 1, " is not balanced"));
      if (!lines.insert(line).second) return Wrong(absl::StrCat(name, i + 1, " occurs twice"));
    }
  }
  return Correct();
}

Finding CheckStarBattle(InstanceReader& in, absl::string_view answer) {
  const int n = in.Int("n", 1, 26), stars = in.Int("stars", 1, 8);
  const std::vector<int> region = in.Ints("region", n * n, 0, n - 1);
  if (!in.ok()) return BadInstance(in);
  const std::optional<std::vector<int>> cells = ReadMarks(answer, n, n, ".*");
  if (!cells) return Unreadable(absl::StrCat(n, " rows of ", n, " of the signs . and *"));
  std::vector<int> rows(n), cols(n), regions(n);
  for (int cell = 0; cell < n * n; ++cell) {
    if ((*cells)[cell] == 0) continue;
    ++rows[cell / n];
    ++cols[cell % n];
    ++regions[region[cell]];
    for (int other = 0; other < cell; ++other) {
      if ((*cells)[other] == 1 && std::abs(other / n - cell / n) <= 1 &&
          std::abs(other % n - cell % n) <= 1)
        return Wrong(absl::StrCat("stars touch at ", CellName(cell, n)));
    }
  }
  for (int i = 0; i < n; ++i) {
    if (rows[i] != stars) return Wrong(absl::StrCat("row ", i + 1, " has ", rows[i], " stars"));
    if (cols[i] != stars) return Wrong(absl::StrCat("column ", i + 1, " has ", cols[i], " stars"));
    if (regions[i] != stars) return Wrong("a region has the wrong number of stars");
  }
  return Correct();
}

Finding CheckNQueens(InstanceReader& in, absl::string_view answer) {
  const int n = in.Int("n", 1, 64);
  const std::vector<int> givens = in.Ints("givens", n, 0, n);
  if (!in.ok()) return BadInstance(in);
  std::optional<std::vector<int>> queens;
  if (absl::StrContains(answer, "Q")) {
    const std::optional<std::vector<int>> board = ReadMarks(answer, n, n, ".Q");
    if (board) queens.emplace(n);
    for (int cell = 0; board && cell < n * n; ++cell) {
      int& queen = (*queens)[cell / n];
      if ((*board)[cell] == 1 && queen != 0)
        return Wrong(absl::StrCat("two queens in row ", cell / n + 1));
      if ((*board)[cell] == 1) queen = cell % n + 1;
    }
  } else {
    queens = ReadNumbers(answer);
  }
  if (!queens || static_cast<int>(queens->size()) != n)
    return Unreadable(absl::StrCat(n, " columns, or a board of . and Q"));
  for (int row = 0; row < n; ++row) {
    const int col = (*queens)[row];
    if (col < 1 || col > n) return Wrong(absl::StrCat("row ", row + 1, " has no queen"));
    if (givens[row] != 0 && givens[row] != col)
      return Wrong(absl::StrCat("the queen of row ", row + 1, " is given"));
    for (int above = 0; above < row; ++above) {
      const int distance = std::abs(col - (*queens)[above]);
      if (distance == 0 || distance == row - above)
        return Wrong(absl::StrCat("the queens of rows ", above + 1, " and ", row + 1, " attack"));
    }
  }
  return Correct();
}

}  // namespace ponder::verifier::puzzle
