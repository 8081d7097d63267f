// Values of expressions as balls: a midpoint and a radius that is proven to reach the true value
// (Arb; Johansson, IEEE Trans. Comput. 66(8), 2017).
#pragma once

#include <acb.h>

#include <string>

#include "verifier/math/budget.h"
#include "verifier/math/flint_thread.h"
#include "verifier/math/tree.h"

namespace ponder::verifier::math {

// A complex ball. Value type.
class Ball {
 public:
  Ball() {
    FreeFlintCachesAtThreadEnd();
    acb_init(value_);
  }
  Ball(const Ball& other) : Ball() { acb_set(value_, other.value_); }
  Ball(Ball&& other) noexcept : Ball() { acb_swap(value_, other.value_); }
  Ball& operator=(Ball other) noexcept {
    acb_swap(value_, other.value_);
    return *this;
  }
  ~Ball() { acb_clear(value_); }
  acb_ptr get() { return value_; }
  acb_srcptr get() const { return value_; }
  arb_ptr re() { return acb_realref(value_); }
  arb_srcptr re() const { return acb_realref(value_); }

  bool IsZero() const { return acb_is_zero(value_); }
  bool ContainsZero() const { return acb_contains_zero(value_); }
  // Of a real ball: +1, -1, 0 for an exact zero; 2 if it isn't known.
  int Sign() const {
    if (arb_is_positive(re())) return 1;
    if (arb_is_negative(re())) return -1;
    return arb_is_zero(re()) ? 0 : 2;
  }

 private:
  acb_t value_;
};

enum class Evaluation : uint8_t {
  kOk,
  kUndefined,   // no value there: the root of a negative number among the reals, 1/0
  kUnresolved,  // too coarse to tell; more precision may help
  kOverBudget,
};

struct EvaluationOptions {
  long precision = 64;   // bits
  bool complex = false;  // principal branches; otherwise reals, with real roots of odd degree of
                         // negative numbers
  int sample = 0;        // which point symbols are at
  bool log_is_common = false;  // \log without a base is to base 10
};

// A machine for one evaluation. Symbols, and what isn't evaluated, have pseudo-random values that
// depend on their name and the sample alone: dyadic rationals, never integers.
class Evaluator {
 public:
  Evaluator(const EvaluationOptions& options, Budget* budget)
      : options_(options), budget_(*budget) {}

  Evaluation Evaluate(const Node& node, Ball* value);

  // The largest |log2| of what came up on the way: how far apart magnitudes are that may cancel.
  long magnitude() const { return magnitude_; }

 private:
  Evaluation Raw(const Node& node, Ball* value);
  Evaluation Power(const Node& node, Ball* value);
  Evaluation RealPower(const Ball& base, const Rational* exact, const Ball& exponent, Ball* value);
  Evaluation Root(const Node& node, Ball* value);
  Evaluation RealRoot(const Ball& x, long degree, Ball* value);
  Evaluation Call(const Node& node, Ball* value);
  Evaluation Log(const Ball& x, Ball* value);
  // Division by a ball that contains zero: undefined beyond doubt, or just too coarse.
  static Evaluation ZeroDivision(const Ball& below) {
    return below.IsZero() ? Evaluation::kUndefined : Evaluation::kUnresolved;
  }
  Evaluation Divide(const Ball& a, const Ball& b, Ball* value);
  Evaluation Gamma(const Ball& x, Ball* value);
  Evaluation Binomial(const Node& node, Ball* value);
  void Opaque(const std::string& name, Ball* value);
  // At `precision`, what `work` nanoseconds at 64 bits cost.
  bool SpendAtPrecision(int64_t work);

  const EvaluationOptions options_;
  Budget& budget_;
  long magnitude_ = 0;
};

}  // namespace ponder::verifier::math
