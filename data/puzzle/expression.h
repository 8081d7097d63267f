// Arithmetic as people write it in number puzzles: + - * / ( ) and whole numbers, exactly.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder::data::puzzle {

// A value: an exact fraction in lowest terms, den > 0.
struct Fraction {
  int64_t num = 0;
  int64_t den = 1;

  bool operator==(const Fraction& other) const { return num == other.num && den == other.den; }
};

// a `op` b for op in + - * /. nullopt: division by zero, or it doesn't fit.
std::optional<Fraction> Apply(Fraction a, char op, Fraction b);

// A value.
struct Expression {
  std::optional<Fraction> value;  // nullopt: divides by zero, or a number doesn't fit
  std::vector<int> numbers;       // every number in it, in order
};

// Also understands x, ×, ·, ÷, −, brackets [ ] and LaTeX's \times, \cdot, \div, \frac{}{}, \left
// and \right. No signs, powers, decimals or calls. nullopt: anything else, or over 4096 bytes, 64
// numbers or 100 brackets deep.
std::optional<Expression> ParseExpression(absl::string_view text);

// Searches all ways to combine all of `numbers` to `target`, up to `budget` combinations.
enum class Search { kFound, kImpossible, kOverBudget };
Search FindExpression(const std::vector<int>& numbers, int target, int64_t budget,
                      std::string* expression);

}  // namespace ponder::data::puzzle
