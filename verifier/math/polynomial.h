// Rational functions over the rationals, in canonical form.
#pragma once

#include <optional>

#include "verifier/math/budget.h"
#include "verifier/math/tree.h"

namespace ponder::verifier::math {

// Whether a and b are the same rational function of their symbols. What isn't polynomial (sin x,
// the root of 2) counts as a symbol of its own: then true is a proof, and false is not known
// (nullopt). nullopt also when expanding takes too many terms.
std::optional<bool> SameRationalFunction(const Node& a, const Node& b, Budget* budget);

// a = c b with a constant c that isn't zero, as rational functions of symbols alone. `sign` (if not
// null) gets that of c.
std::optional<bool> Proportional(const Node& a, const Node& b, Budget* budget, int* sign = nullptr);

}  // namespace ponder::verifier::math
