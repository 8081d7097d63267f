// Exact values of expressions that are rational numbers.
#pragma once

#include "verifier/math/budget.h"
#include "verifier/math/tree.h"

namespace ponder::verifier::math {

enum class Exactness : uint8_t {
  kValue,
  kUndefined,    // 1/0, ln(-1) is not among them
  kNotRational,  // or not known to be
  kTooBig,       // more than kMaxBits, or the budget is exhausted
};

// Percent counts as hundredths; a quantity as its number. `value` is set for kValue only.
Exactness ExactValue(const Node& node, Budget* budget, Rational* value);

}  // namespace ponder::verifier::math
