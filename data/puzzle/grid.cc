#include "data/puzzle/grid.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {
namespace {

// Rows, or columns, of a Latin square in an order that keeps bands of `band` together.
std::vector<int> BandOrder(int n, int band, Rng& rng) {
  std::vector<int> order;
  for (const int block : Permutation(n / band, rng)) {
    for (const int line : Permutation(band, rng)) order.push_back(block * band + line);
  }
  return order;
}

// Fills the empty cell with the fewest candidates first.
class LatinSolver {
 public:
  LatinSolver(const LatinRules& rules, const std::vector<int>& cells, int budget)
      : rules_(rules), cells_(cells), budget_(budget), used_(3 * rules.n), bounds_(cells.size()) {
    for (const auto& [low, high] : rules.less) {
      bounds_[low].push_back({high, true});
      bounds_[high].push_back({low, false});
    }
    for (size_t i = 0; i < cells_.size(); ++i) {
      if (cells_[i] != 0) Mark(i, cells_[i]);
      if (cells_[i] == 0) empty_.push_back(i);
    }
  }

  // Up to 2; 2 when over budget.
  int Count() {
    if (empty_.empty()) return 1;
    size_t best = 0;
    uint32_t best_mask = 0;
    int fewest = 33;
    for (size_t i = 0; i < empty_.size() && fewest > 1; ++i) {
      const uint32_t mask = Candidates(empty_[i]);
      const int count = __builtin_popcount(mask);
      if (count < fewest) {
        fewest = count;
        best = i;
        best_mask = mask;
      }
    }
    const int cell = empty_[best];
    std::swap(empty_[best], empty_.back());
    empty_.pop_back();
    int found = 0;
    for (; best_mask != 0 && found < 2; best_mask &= best_mask - 1) {
      if (--budget_ < 0) {
        found = 2;
        break;
      }
      const int value = __builtin_ctz(best_mask);
      cells_[cell] = value;
      Mark(cell, value);
      found += Count();
      Mark(cell, value);
      cells_[cell] = 0;
    }
    empty_.push_back(cell);
    std::swap(empty_[best], empty_.back());
    return found;
  }

 private:
  uint32_t& Row(int cell) { return used_[cell / rules_.n]; }
  uint32_t& Column(int cell) { return used_[rules_.n + cell % rules_.n]; }

  void Mark(int cell, int value) {
    const uint32_t bit = uint32_t{1} << value;
    Row(cell) ^= bit;
    Column(cell) ^= bit;
    if (rules_.box_rows > 0) used_[2 * rules_.n + rules_.Box(cell)] ^= bit;
  }
  uint32_t Candidates(int cell) {
    uint32_t used = Row(cell) | Column(cell) | 1;
    if (rules_.box_rows > 0) used |= used_[2 * rules_.n + rules_.Box(cell)];
    uint32_t mask = ~used & ((uint32_t{2} << rules_.n) - 1);
    for (const auto& [other, below] : bounds_[cell]) {
      const int value = cells_[other];
      if (below) {
        mask &= (uint32_t{1} << (value == 0 ? rules_.n : value)) - 1;
      } else {
        mask &= ~((uint32_t{2} << (value == 0 ? 1 : value)) - 1);
      }
    }
    return mask;
  }

  const LatinRules& rules_;
  std::vector<int> cells_;
  int budget_;
  std::vector<uint32_t> used_;  // rows, columns, boxes
  std::vector<std::vector<std::pair<int, bool>>> bounds_;
  std::vector<int> empty_;
};

}  // namespace

std::string ShowNumbers(const std::vector<int>& cells, int cols) {
  std::string text;
  for (size_t i = 0; i < cells.size(); ++i) {
    const bool row_ends = (i + 1) % cols == 0;
    absl::StrAppend(&text, cells[i] == 0 ? "." : absl::StrCat(cells[i]), row_ends ? "\n" : " ");
  }
  text.pop_back();
  return text;
}

std::string ShowMarks(const std::vector<int>& cells, int cols, absl::string_view symbols) {
  std::string text;
  for (size_t i = 0; i < cells.size(); ++i) {
    text.push_back(symbols[cells[i]]);
    if ((i + 1) % cols == 0 && i + 1 < cells.size()) text.push_back('\n');
  }
  return text;
}

std::array<int, 4> Neighbours(int cell, int rows, int cols) {
  const int row = cell / cols, col = cell % cols;
  return {row > 0 ? cell - cols : -1, row + 1 < rows ? cell + cols : -1, col > 0 ? cell - 1 : -1,
          col + 1 < cols ? cell + 1 : -1};
}

std::vector<int> RandomLatin(int n, int box_rows, Rng& rng) {
  const int band = box_rows > 0 ? box_rows : 1, stack = box_rows > 0 ? n / box_rows : 1;
  const std::vector<int> rows = BandOrder(n, band, rng), cols = BandOrder(n, stack, rng),
                         values = Permutation(n, rng);
  std::vector<int> cells;
  for (const int row : rows) {
    for (const int col : cols) {
      cells.push_back(values[(row % band * stack + row / band + col) % n] + 1);
    }
  }
  return cells;
}

bool HasOneSolution(const LatinRules& rules, const std::vector<int>& cells, int budget) {
  return LatinSolver(rules, cells, budget).Count() == 1;
}

std::vector<int> Dig(const LatinRules& rules, const std::vector<int>& solution, int clues,
                     int budget, Rng& rng) {
  std::vector<int> cells = solution;
  int left = static_cast<int>(cells.size());
  for (const int cell : Permutation(left, rng)) {
    if (left <= clues) break;
    cells[cell] = 0;
    if (HasOneSolution(rules, cells, budget)) {
      --left;
    } else {
      cells[cell] = solution[cell];
    }
  }
  return cells;
}

}  // namespace ponder::data::puzzle
