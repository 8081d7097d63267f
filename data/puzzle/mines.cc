#include "data/puzzle/mines.h"

#include <algorithm>
#include <utility>

namespace ponder::data::puzzle {
namespace {

constexpr int kBudget = 100'000;  // fields assigned, over all proofs of a board

std::vector<int> Around(const MineField& field, int cell) {
  std::vector<int> found;
  const int row = cell / field.cols, col = cell % field.cols;
  for (int r = std::max(0, row - 1); r <= std::min(field.rows - 1, row + 1); ++r) {
    for (int c = std::max(0, col - 1); c <= std::min(field.cols - 1, col + 1); ++c) {
      if (r != row || c != col) found.push_back(r * field.cols + c);
    }
  }
  return found;
}

// Assigns hidden fields, following what the numbers force, and backtracks.
class Solver {
 public:
  explicit Solver(const MineField& field) : mine_(field.shown.size(), kUnknown) {
    numbers_at_.resize(field.shown.size());
    for (size_t cell = 0; cell < field.shown.size(); ++cell) {
      if (field.shown[cell] == kHidden) continue;
      Number number{field.shown[cell], {}};
      for (const int other : Around(field, static_cast<int>(cell))) {
        if (field.shown[other] != kHidden) continue;
        number.fields.push_back(other);
        numbers_at_[other].push_back(static_cast<int>(numbers_.size()));
      }
      numbers_.push_back(std::move(number));
    }
  }

  bool over_budget() const { return budget_ < 0; }
  const std::vector<int>& mine() const { return mine_; }
  bool Touches(int cell) const { return !numbers_at_[cell].empty(); }

  // Whether some board fits in which, if cell >= 0, `cell` has the given value. mine() is that
  // board.
  bool Exists(int cell, int value) {
    std::fill(mine_.begin(), mine_.end(), kUnknown);
    trail_.clear();
    for (size_t i = 0; i < numbers_.size(); ++i) {
      if (!Follow(static_cast<int>(i))) return false;
    }
    if (cell >= 0 && mine_[cell] != kUnknown && mine_[cell] != value) return false;
    if (cell >= 0 && mine_[cell] == kUnknown && !Assign(cell, value)) return false;
    return Search(0);
  }

 private:
  static constexpr int kUnknown = -1;
  struct Number {
    int mines;
    std::vector<int> fields;
  };

  bool Assign(int cell, int value) {
    if (mine_[cell] != kUnknown) return mine_[cell] == value;
    if (--budget_ < 0) return false;
    mine_[cell] = value;
    trail_.push_back(cell);
    for (const int number : numbers_at_[cell]) {
      if (!Follow(number)) return false;
    }
    return true;
  }
  // Assigns what one number leaves no choice about.
  bool Follow(int index) {
    const Number& number = numbers_[index];
    int mines = 0, unknown = 0;
    for (const int field : number.fields) {
      mines += mine_[field] == 1;
      unknown += mine_[field] == kUnknown;
    }
    if (mines > number.mines || mines + unknown < number.mines) return false;
    if (unknown == 0 || (mines != number.mines && mines + unknown != number.mines)) return true;
    const int value = mines == number.mines ? 0 : 1;
    for (const int field : number.fields) {
      if (mine_[field] == kUnknown && !Assign(field, value)) return false;
    }
    return true;
  }
  bool Search(size_t from) {
    while (from < numbers_.size() && Open(numbers_[from]) < 0) ++from;
    if (from == numbers_.size()) return true;
    const int cell = Open(numbers_[from]);
    const size_t mark = trail_.size();
    for (const int value : {1, 0}) {
      if (Assign(cell, value) && Search(from)) return true;
      for (; trail_.size() > mark; trail_.pop_back()) mine_[trail_.back()] = kUnknown;
      if (budget_ < 0) return false;
    }
    return false;
  }
  int Open(const Number& number) const {
    for (const int field : number.fields) {
      if (mine_[field] == kUnknown) return field;
    }
    return -1;
  }

  std::vector<Number> numbers_;
  std::vector<std::vector<int>> numbers_at_;
  std::vector<int> mine_;
  std::vector<int> trail_;
  int budget_ = kBudget;
};

}  // namespace

MineProof ForcedMines(const MineField& field, std::vector<int>* mines) {
  mines->clear();
  Solver solver(field);
  if (!solver.Exists(-1, 0)) {
    return solver.over_budget() ? MineProof::kOverBudget : MineProof::kContradiction;
  }
  // Only what is a mine in one board can be a mine in all.
  const std::vector<int> one = solver.mine();
  for (size_t cell = 0; cell < one.size(); ++cell) {
    if (one[cell] != 1 || !solver.Touches(static_cast<int>(cell))) continue;
    if (!solver.Exists(static_cast<int>(cell), 0)) mines->push_back(static_cast<int>(cell));
    if (solver.over_budget()) return MineProof::kOverBudget;
  }
  return MineProof::kProven;
}

}  // namespace ponder::data::puzzle
