#include "verifier/math/exact.h"

#include <flint/fmpz.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace ponder::verifier::math {
namespace {

// Work of an operation on numbers of so many bits.
int64_t Work(long bits) { return 60 + bits / 4; }

// The exact `degree`-th root of a number that is not negative.
std::optional<Rational> PerfectRoot(const Rational& x, long degree) {
  Rational root;
  const bool exact =
      fmpz_root(fmpq_numref(root.fmpq_value()), fmpq_numref(x.fmpq_value()), degree) &&
      fmpz_root(fmpq_denref(root.fmpq_value()), fmpq_denref(x.fmpq_value()), degree);
  return exact ? std::optional<Rational>(root) : std::nullopt;
}

Exactness Root(const Rational& x, long degree, Budget* budget, Rational* value) {
  if (degree <= 0) return Exactness::kNotRational;
  if (x.Sign() < 0 && degree % 2 == 0) return Exactness::kNotRational;
  if (!budget->Spend(Work(x.Bits()) * 4)) return Exactness::kTooBig;
  const std::optional<Rational> root = PerfectRoot(x.Abs(), degree);
  if (!root) return Exactness::kNotRational;
  *value = x.Sign() < 0 ? -*root : *root;
  return Exactness::kValue;
}

Exactness Power(const Rational& base, const Rational& exponent, Budget* budget, Rational* value) {
  if (!exponent.IsInteger()) {
    // x^(p/q): the q-th root to the p, if it is exact.
    Rational numerator, root;
    fmpz_set(fmpq_numref(numerator.fmpq_value()), fmpq_numref(exponent.fmpq_value()));
    if (!fmpz_fits_si(fmpq_denref(exponent.fmpq_value()))) return Exactness::kNotRational;
    const Exactness found =
        Root(base, fmpz_get_si(fmpq_denref(exponent.fmpq_value())), budget, &root);
    return found == Exactness::kValue ? Power(root, numerator, budget, value) : found;
  }
  if (base.IsZero() && exponent.Sign() < 0) return Exactness::kUndefined;
  if (base.IsZero() || base.IsOne() || exponent.IsZero()) {
    *value = exponent.IsZero() ? Rational(1) : base;
    return Exactness::kValue;
  }
  if (base == Rational(-1)) {
    *value = exponent.IsOddInteger() ? base : Rational(1);
    return Exactness::kValue;
  }
  const std::optional<long> n = exponent.ToLong();
  if (!n || *n > kMaxBits || *n < -kMaxBits || base.Bits() * std::abs(*n) > kMaxBits)
    return Exactness::kTooBig;
  if (!budget->Spend(Work(base.Bits() * std::abs(*n)) * 2)) return Exactness::kTooBig;
  *value = base.Power(*n);
  return Exactness::kValue;
}

Exactness Factorial(const Rational& x, Budget* budget, Rational* value) {
  const std::optional<long> n = x.ToLong();
  if (!x.IsInteger()) return Exactness::kNotRational;
  if (x.Sign() < 0) return Exactness::kUndefined;
  constexpr long kLargest = 8000;  // about 10^5 bits
  if (!n || *n > kLargest || !budget->Spend(*n * 40)) return Exactness::kTooBig;
  fmpz_fac_ui(fmpq_numref(value->fmpq_value()), *n);
  fmpz_one(fmpq_denref(value->fmpq_value()));
  return Exactness::kValue;
}

Exactness Binomial(const Rational& n, const Rational& k, Budget* budget, Rational* value) {
  const std::optional<long> top = n.ToLong(), bottom = k.ToLong();
  if (!n.IsInteger() || !k.IsInteger()) return Exactness::kNotRational;
  if (!top || !bottom || *top < 0) return Exactness::kTooBig;
  if (*bottom < 0 || *bottom > *top) {
    *value = Rational(0);
    return Exactness::kValue;
  }
  const long smaller = std::min(*bottom, *top - *bottom);
  const long bits = smaller * (64 - __builtin_clzl(*top | 1));
  if (smaller > 8000 || bits > kMaxBits || !budget->Spend(smaller * 100 + Work(bits)))
    return Exactness::kTooBig;
  fmpz_bin_uiui(fmpq_numref(value->fmpq_value()), *top, smaller);
  fmpz_one(fmpq_denref(value->fmpq_value()));
  return Exactness::kValue;
}

// log_b(x) if it is a rational p/q with small p and q.
Exactness Logarithm(const Rational& x, const Rational& base, Rational* value) {
  if (x.Sign() <= 0 || base.Sign() <= 0 || base.IsOne()) return Exactness::kUndefined;
  if (x.Bits() > 4096 || base.Bits() > 64) return Exactness::kNotRational;
  for (const long sign : {1L, -1L}) {
    const Rational target = sign > 0 ? x : x.Inverse();
    Rational power(1);
    for (long n = 0; n <= 4096 && power.Bits() <= target.Bits() + base.Bits(); ++n) {
      if (power == target) {
        *value = Rational(sign * n);
        return Exactness::kValue;
      }
      power = power * base;
    }
  }
  return Exactness::kNotRational;
}

Exactness Call(Function function, const std::vector<Rational>& x, Budget* budget, Rational* value) {
  switch (function) {
    case Function::kAbs:
      *value = x[0].Abs();
      return Exactness::kValue;
    case Function::kSign:
      *value = Rational(x[0].Sign());
      return Exactness::kValue;
    case Function::kFloor:
      *value = x[0].Floor();
      return Exactness::kValue;
    case Function::kCeil:
      *value = -(-x[0]).Floor();
      return Exactness::kValue;
    case Function::kMin:
      *value = *std::min_element(x.begin(), x.end());
      return Exactness::kValue;
    case Function::kMax:
      *value = *std::max_element(x.begin(), x.end());
      return Exactness::kValue;
    case Function::kFactorial:
      return Factorial(x[0], budget, value);
    case Function::kBinomial:
      return Binomial(x[0], x[1], budget, value);
    case Function::kLogBase:
      return Logarithm(x[0], x[1], value);
    default:
      return Exactness::kNotRational;
  }
}

}  // namespace

Exactness ExactValue(const Node& node, Budget* budget, Rational* value) {
  if (!budget->Spend(20)) return Exactness::kTooBig;
  switch (node.kind) {
    case Kind::kNumber:
      *value = node.number;
      return Exactness::kValue;
    case Kind::kSum:
    case Kind::kProduct:
    case Kind::kPower:
    case Kind::kRoot:
    case Kind::kFunction:
    case Kind::kPercent:
    case Kind::kQuantity:
      break;
    default:
      return Exactness::kNotRational;
  }
  // Undefined anywhere is undefined everywhere; so look at all children before giving up.
  std::vector<Rational> x(node.children.size());
  Exactness all = Exactness::kValue;
  for (size_t i = 0; i < x.size(); ++i) {
    const Exactness one = ExactValue(*node.children[i], budget, &x[i]);
    if (one == Exactness::kUndefined) return one;
    all = std::max(all, one);
  }
  if (all != Exactness::kValue) return all;
  Rational made;
  switch (node.kind) {
    case Kind::kSum:
    case Kind::kProduct: {
      const bool sum = node.kind == Kind::kSum;
      made = Rational(sum ? 0 : 1);
      for (const Rational& one : x) {
        if (!budget->Spend(Work(made.Bits() + one.Bits())) ||
            made.Bits() + one.Bits() > 2 * kMaxBits)
          return Exactness::kTooBig;
        made = sum ? made + one : made * one;
      }
      break;
    }
    case Kind::kPower: {
      const Exactness status = Power(x[0], x[1], budget, &made);
      if (status != Exactness::kValue) return status;
      break;
    }
    case Kind::kRoot: {
      const std::optional<long> degree = x[1].ToLong();
      if (!degree) return Exactness::kNotRational;
      const Exactness status = Root(x[0], *degree, budget, &made);
      if (status != Exactness::kValue) return status;
      break;
    }
    case Kind::kFunction: {
      const Exactness status = Call(node.function, x, budget, &made);
      if (status != Exactness::kValue) return status;
      break;
    }
    case Kind::kPercent:
      made = x[0] * Rational(1, 100);
      break;
    default:
      made = x[0];
  }
  if (made.Bits() > kMaxBits) return Exactness::kTooBig;
  *value = std::move(made);
  return Exactness::kValue;
}

}  // namespace ponder::verifier::math
