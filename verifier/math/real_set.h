// Sets of real numbers: unions of intervals and points.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "verifier/math/scalar.h"
#include "verifier/math/tree.h"

namespace ponder::verifier::math {

// From `low` to `high`, which are constants or infinities. A point is [a, a].
struct Interval {
  const Node* low = nullptr;
  const Node* high = nullptr;
  bool low_closed = false;
  bool high_closed = false;
};

// A value. Normalized: ascending, apart, none empty; unless an endpoint has symbols: then as it was
// written.
using RealSet = std::vector<Interval>;

// Whether `node` is one that can only be a set of reals: a union, an inequality, R.
bool IsRealSetOnly(const Node& node);

// Reads pairs in brackets, sets of points, unions and the like, R, inequalities solved for one
// variable (x < 3, 1 <= x < 2, -x > 2), x in a set, and lists of them. nullopt: not such a set, or
// endpoints can't be put in order.
std::optional<RealSet> ToRealSet(const Node& node, Arena* arena, Budget* budget);

Truth SameRealSet(const RealSet& a, const RealSet& b, Budget* budget);

}  // namespace ponder::verifier::math
