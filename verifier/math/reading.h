// What an equation, chain or assignment says: x = 5, A = 2/4 = 1/2, 2x + 3y = 1.
#pragma once

#include <string>

#include "verifier/math/budget.h"
#include "verifier/math/tree.h"

namespace ponder::verifier::math {

// A value. `value` is what is asserted of `name` (x = 5 gives 5), or all there is; null for a
// contradiction (27 = 28) and for an equation that isn't solved (x^2 = 4x). left = right is the
// equation, where there is one.
struct Reading {
  const Node* value = nullptr;
  std::string name;  // canonical text of the left-hand side; empty if there is none
  const Node* left = nullptr;
  const Node* right = nullptr;
};

Reading Read(const Node& node, Budget* budget);

// How a decimal was written: its value, and half a unit in its last place.
struct DecimalForm {
  Rational value;
  Rational half_unit;
  int digits = 0;    // significant ones
  int decimals = 0;  // digits after the point, of the mantissa
  bool scientific = false;
};
// 2.74, -0.5, 4.4 \times 10^7. False: not written as a decimal.
bool ReadDecimal(const Node& node, DecimalForm* form);

}  // namespace ponder::verifier::math
