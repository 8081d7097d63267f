// Whether two expressions have the same value.
#pragma once

#include <cstdint>

#include "verifier/math/budget.h"
#include "verifier/math/tree.h"

namespace ponder::verifier::math {

enum class Truth : uint8_t {
  kNo,
  kYes,
  kUnknown,  // the budget ran out, or nothing can be said
};

constexpr Truth And(Truth a, Truth b) {
  return a == Truth::kNo || b == Truth::kNo     ? Truth::kNo
         : a == Truth::kYes && b == Truth::kYes ? Truth::kYes
                                                : Truth::kUnknown;
}
constexpr Truth TruthOf(bool truth) { return truth ? Truth::kYes : Truth::kNo; }

// Symmetric. In this order: exact rationals; canonical rational functions; balls of growing
// precision, which prove a difference, and find two numbers equal only at a precision well beyond
// every magnitude that came up in evaluating them; for symbols, balls at 8 or more points of both
// signs where both sides are defined.
Truth SameValue(const Node& a, const Node& b, Budget* budget);

// -1, 0, 1 for real constants; 2 if not known.
int CompareReals(const Node& a, const Node& b, Budget* budget);

// |a - b| <= bound, for constants; kUnknown also where it is too close to tell.
Truth Within(const Node& a, const Rational& b, const Rational& bound, Budget* budget);

// Whether the expression has no value: 1/0.
bool IsUndefined(const Node& node, Budget* budget);

// Whether there are no symbols or unknown functions in it.
bool IsConstant(const Node& node);

}  // namespace ponder::verifier::math
