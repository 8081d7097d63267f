#include "verifier/math/evaluate.h"

#include <acb_hypgeom.h>
#include <flint/fmpz.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/philox.h"
#include "verifier/math/exact.h"

namespace ponder::verifier::math {
namespace {

constexpr int kNearSamples = 16;  // the first ones stay near zero

void SetRational(const Rational& x, long precision, Ball* value) {
  acb_set_fmpq(value->get(), x.fmpq_value(), precision);
}

}  // namespace

bool Evaluator::SpendAtPrecision(int64_t work) {
  return budget_.Spend(work + work * options_.precision / 256 *
                                  std::max<long>(1, options_.precision / 512));
}

Evaluation Evaluator::Evaluate(const Node& node, Ball* value) {
  const Evaluation status = Raw(node, value);
  if (status != Evaluation::kOk) return status;
  if (!acb_is_finite(value->get())) return Evaluation::kUnresolved;
  for (arb_srcptr part : {acb_realref(value->get()), acb_imagref(value->get())}) {
    if (arb_contains_zero(part)) continue;  // zero, as far as one can see
    magnitude_ = std::max(magnitude_, std::abs(arf_abs_bound_lt_2exp_si(arb_midref(part))));
  }
  return Evaluation::kOk;
}

Evaluation Evaluator::Raw(const Node& node, Ball* value) {
  if (!SpendAtPrecision(80)) return Evaluation::kOverBudget;
  const long precision = options_.precision;
  switch (node.kind) {
    case Kind::kNumber:
      SetRational(node.number, precision, value);
      return Evaluation::kOk;
    case Kind::kPi:
      acb_const_pi(value->get(), precision);
      return Evaluation::kOk;
    case Kind::kE:
      arb_const_e(value->re(), precision);
      return Evaluation::kOk;
    case Kind::kI:
      if (!options_.complex) return Evaluation::kUndefined;
      acb_onei(value->get());
      return Evaluation::kOk;
    case Kind::kSymbol:
      Opaque(node.name, value);
      return Evaluation::kOk;
    case Kind::kApply:
    case Kind::kUnevaluated:
      Opaque(CanonicalText(node), value);
      return Evaluation::kOk;
    case Kind::kSum:
    case Kind::kProduct: {
      const bool sum = node.kind == Kind::kSum;
      acb_set_si(value->get(), sum ? 0 : 1);
      for (const Node* child : node.children) {
        Ball one;
        const Evaluation status = Evaluate(*child, &one);
        if (status != Evaluation::kOk) return status;
        if (sum) {
          acb_add(value->get(), value->get(), one.get(), precision);
        } else {
          acb_mul(value->get(), value->get(), one.get(), precision);
        }
      }
      return Evaluation::kOk;
    }
    case Kind::kPower:
      return Power(node, value);
    case Kind::kRoot:
      return Root(node, value);
    case Kind::kFunction:
      return Call(node, value);
    case Kind::kPercent:
    case Kind::kDegree:
    case Kind::kQuantity: {
      const Evaluation status = Evaluate(*node.children[0], value);
      if (status != Evaluation::kOk || node.kind == Kind::kQuantity) return status;
      if (node.kind == Kind::kDegree) {
        Ball pi;
        acb_const_pi(pi.get(), precision);
        acb_mul(value->get(), value->get(), pi.get(), precision);
      }
      acb_div_si(value->get(), value->get(), node.kind == Kind::kDegree ? 180 : 100, precision);
      return Evaluation::kOk;
    }
    default:
      return Evaluation::kUndefined;
  }
}

// Regions of the samples: positive and below one, above one, of either sign, negative; then, for
// expressions that are defined nowhere there, further out.
void Evaluator::Opaque(const std::string& name, Ball* value) {
  static constexpr struct {
    long low, high;  // in 1/1024
  } kRegions[] = {{1, 1024},      {1025, 5120},     {-3072, 3072},      {-1024, -1},
                  {5121, 102400}, {-102400, -1025}, {102401, 10240000}, {-10240000, -102401}};
  const uint64_t hash = StableHash(name);
  const auto draw = Philox4x32({static_cast<uint32_t>(options_.sample), 0, 0, 0},
                               {static_cast<uint32_t>(hash), static_cast<uint32_t>(hash >> 32)});
  const auto& region = kRegions[options_.sample % (options_.sample < kNearSamples ? 4 : 8)];
  const long steps = (region.high - region.low) + 1;
  // 1/1024 apart, plus an odd 2^-41: no integer, no simple fraction.
  const long whole = region.low + static_cast<long>((draw[0] | (uint64_t{draw[1]} << 32)) %
                                                    static_cast<uint64_t>(steps));
  arb_set_si(value->re(), whole);
  arb_mul_2exp_si(value->re(), value->re(), 30);
  arb_add_ui(value->re(), value->re(), (draw[2] >> 2) | 1, 256);
  arb_mul_2exp_si(value->re(), value->re(), -40);
}

Evaluation Evaluator::Divide(const Ball& a, const Ball& b, Ball* value) {
  if (b.ContainsZero()) return ZeroDivision(b);
  acb_div(value->get(), a.get(), b.get(), options_.precision);
  return Evaluation::kOk;
}

Evaluation Evaluator::Power(const Node& node, Ball* value) {
  Ball base, exponent;
  Rational exact;
  const Exactness exactness = ExactValue(*node.children[1], &budget_, &exact);
  if (exactness == Exactness::kUndefined) return Evaluation::kUndefined;
  Evaluation status = Evaluate(*node.children[0], &base);
  if (status != Evaluation::kOk) return status;
  const bool rational = exactness == Exactness::kValue;
  if (rational && exact.IsInteger() && exact.Bits() <= 64) {
    if (exact.Sign() < 0 && base.ContainsZero()) return ZeroDivision(base);
    if (!SpendAtPrecision(100 + 60 * exact.Bits())) return Evaluation::kOverBudget;
    acb_pow_fmpz(value->get(), base.get(), fmpq_numref(exact.fmpq_value()), options_.precision);
    return Evaluation::kOk;
  }
  status = Evaluate(*node.children[1], &exponent);
  if (status != Evaluation::kOk) return status;
  if (!SpendAtPrecision(3000)) return Evaluation::kOverBudget;
  if (!options_.complex) return RealPower(base, rational ? &exact : nullptr, exponent, value);
  if (base.ContainsZero()) {
    if (!base.IsZero()) return Evaluation::kUnresolved;
    if (!arb_is_positive(exponent.re())) return Evaluation::kUndefined;
    acb_zero(value->get());
    return Evaluation::kOk;
  }
  acb_pow(value->get(), base.get(), exponent.get(), options_.precision);
  return Evaluation::kOk;
}

// `exact`: the exponent, if it is a rational number.
Evaluation Evaluator::RealPower(const Ball& base, const Rational* exact, const Ball& exponent,
                                Ball* value) {
  const long precision = options_.precision;
  const int sign = base.Sign();
  if (sign == 2) return Evaluation::kUnresolved;
  if (sign == 0) {
    const int up = exponent.Sign();
    if (up != 1) return up == 2 ? Evaluation::kUnresolved : Evaluation::kUndefined;
    acb_zero(value->get());
    return Evaluation::kOk;
  }
  if (sign > 0) {
    arb_pow(value->re(), base.re(), exponent.re(), precision);
    return Evaluation::kOk;
  }
  if (exact == nullptr || !exact->HasOddDenominator()) return Evaluation::kUndefined;
  Ball positive;
  arb_neg(positive.re(), base.re());
  arb_pow(value->re(), positive.re(), exponent.re(), precision);
  if (fmpz_is_odd(fmpq_numref(exact->fmpq_value()))) arb_neg(value->re(), value->re());
  return Evaluation::kOk;
}

Evaluation Evaluator::Root(const Node& node, Ball* value) {
  Ball x;
  const Evaluation status = Evaluate(*node.children[0], &x);
  if (status != Evaluation::kOk) return status;
  if (!SpendAtPrecision(400)) return Evaluation::kOverBudget;
  Rational exact;
  const bool rational = ExactValue(*node.children[1], &budget_, &exact) == Exactness::kValue;
  if (rational && exact == Rational(2) && options_.complex) {
    acb_sqrt(value->get(), x.get(), options_.precision);
    return Evaluation::kOk;
  }
  if (rational && !options_.complex) {
    const std::optional<long> degree = exact.ToLong();
    if (degree && *degree >= 1) return RealRoot(x, *degree, value);
  }
  Ball degree, inverse, one;
  const Evaluation degree_status = Evaluate(*node.children[1], &degree);
  if (degree_status != Evaluation::kOk) return degree_status;
  acb_one(one.get());
  const Evaluation division = Divide(one, degree, &inverse);
  if (division != Evaluation::kOk) return division;
  if (!SpendAtPrecision(3000)) return Evaluation::kOverBudget;
  if (!options_.complex) return RealPower(x, nullptr, inverse, value);
  if (x.ContainsZero()) return Evaluation::kUnresolved;
  acb_pow(value->get(), x.get(), inverse.get(), options_.precision);
  return Evaluation::kOk;
}

Evaluation Evaluator::RealRoot(const Ball& x, long degree, Ball* value) {
  const int sign = x.Sign();
  if (sign == 2) return Evaluation::kUnresolved;
  if (sign < 0 && degree % 2 == 0) return Evaluation::kUndefined;
  Ball positive;
  arb_abs(positive.re(), x.re());
  arb_root_ui(value->re(), positive.re(), degree, options_.precision);
  if (sign < 0) arb_neg(value->re(), value->re());
  return Evaluation::kOk;
}

}  // namespace ponder::verifier::math
