#include "verifier/puzzle/grid_rules.h"

#include <cstdint>

#include "absl/strings/str_cat.h"

namespace ponder::verifier::puzzle {

std::string CellName(int cell, int cols) {
  return absl::StrCat("r", cell / cols + 1, "c", cell % cols + 1);
}

std::string GivenFault(const std::vector<int>& cells, const std::vector<int>& givens, int cols,
                       int blank) {
  for (size_t i = 0; i < givens.size(); ++i) {
    if (givens[i] == blank || givens[i] == cells[i]) continue;
    return absl::StrCat(CellName(static_cast<int>(i), cols), " is given as ", givens[i]);
  }
  return "";
}

std::string LatinFault(const std::vector<int>& cells, const data::puzzle::LatinRules& rules) {
  const int n = rules.n;
  std::vector<uint32_t> rows(n), cols(n), boxes(n);
  for (int cell = 0; cell < n * n; ++cell) {
    const std::string name = CellName(cell, n);
    const int value = cells[cell];
    if (value < 1 || value > n) return absl::StrCat(name, " is not from 1 to ", n);
    const uint32_t bit = uint32_t{1} << value;
    uint32_t seen = rows[cell / n] | cols[cell % n];
    if (rules.box_rows > 0) seen |= boxes[rules.Box(cell)];
    if ((seen & bit) != 0) return absl::StrCat("a second ", value, " at ", name);
    rows[cell / n] |= bit;
    cols[cell % n] |= bit;
    if (rules.box_rows > 0) boxes[rules.Box(cell)] |= bit;
  }
  for (const auto& [low, high] : rules.less) {
    if (cells[low] < cells[high]) continue;
    return absl::StrCat(CellName(low, n), " is not less than ", CellName(high, n));
  }
  return "";
}

std::string OnceFault(const std::vector<int>& cells) {
  std::vector<bool> seen(cells.size());
  for (const int value : cells) {
    if (value < 1 || value > static_cast<int>(cells.size()))
      return absl::StrCat(value, " is out of range");
    if (seen[value - 1]) return absl::StrCat(value, " is used twice");
    seen[value - 1] = true;
  }
  return "";
}

}  // namespace ponder::verifier::puzzle
