// Named functions in balls.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "verifier/math/evaluate.h"
#include "verifier/math/exact.h"

namespace ponder::verifier::math {

namespace {

constexpr long kMaxFallingFactorial = 500;

}  // namespace

Evaluation Evaluator::Log(const Ball& x, Ball* value) {
  if (!SpendAtPrecision(1500)) return Evaluation::kOverBudget;
  if (x.ContainsZero()) return ZeroDivision(x);
  if (options_.complex) {
    acb_log(value->get(), x.get(), options_.precision);
    return Evaluation::kOk;
  }
  if (x.Sign() != 1) return x.Sign() == 2 ? Evaluation::kUnresolved : Evaluation::kUndefined;
  arb_log(value->re(), x.re(), options_.precision);
  return Evaluation::kOk;
}

Evaluation Evaluator::Gamma(const Ball& x, Ball* value) {
  if (!SpendAtPrecision(20000)) return Evaluation::kOverBudget;
  if (!options_.complex && arb_is_int(x.re()) && !arb_is_positive(x.re()))
    return Evaluation::kUndefined;
  acb_gamma(value->get(), x.get(), options_.precision);
  return acb_is_finite(value->get()) ? Evaluation::kOk : Evaluation::kUnresolved;
}

// A falling factorial where the lower index is a small integer, else by the gamma function.
Evaluation Evaluator::Binomial(const Node& node, Ball* value) {
  const long precision = options_.precision;
  Ball n, k;
  Evaluation status = Evaluate(*node.children[0], &n);
  if (status != Evaluation::kOk) return status;
  Rational exact;
  if (ExactValue(*node.children[1], &budget_, &exact) == Exactness::kValue && exact.IsInteger()) {
    const std::optional<long> count = exact.ToLong();
    if (count && *count < 0) {
      acb_zero(value->get());
      return Evaluation::kOk;
    }
    if (count && *count <= kMaxFallingFactorial) {
      acb_one(value->get());
      Ball factor;
      for (long i = 0; i < *count; ++i) {
        if (!SpendAtPrecision(150)) return Evaluation::kOverBudget;
        acb_sub_si(factor.get(), n.get(), i, precision);
        acb_mul(value->get(), value->get(), factor.get(), precision);
        acb_div_si(value->get(), value->get(), i + 1, precision);
      }
      return Evaluation::kOk;
    }
  }
  status = Evaluate(*node.children[1], &k);
  if (status != Evaluation::kOk) return status;
  Ball rest, above, below, other;
  acb_sub(rest.get(), n.get(), k.get(), precision);
  for (Ball* x : {&n, &k, &rest}) acb_add_si(x->get(), x->get(), 1, precision);
  for (const auto& [x, gamma] :
       {std::pair(&n, &above), std::pair(&k, &below), std::pair(&rest, &other)}) {
    status = Gamma(*x, gamma);
    if (status != Evaluation::kOk) return status;
  }
  acb_mul(below.get(), below.get(), other.get(), precision);
  return Divide(above, below, value);
}

Evaluation Evaluator::Call(const Node& node, Ball* value) {
  if (node.function == Function::kBinomial) return Binomial(node, value);
  std::vector<Ball> x(node.children.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const Evaluation status = Evaluate(*node.children[i], &x[i]);
    if (status != Evaluation::kOk) return status;
  }
  if (!SpendAtPrecision(2000)) return Evaluation::kOverBudget;
  const long precision = options_.precision;
  acb_ptr out = value->get();
  acb_srcptr in = x[0].get();
  Ball one;
  acb_one(one.get());
  // 1/f(x)
  const auto reciprocal = [&](void (*f)(acb_t, const acb_t, slong)) {
    Ball below;
    f(below.get(), in, precision);
    return Divide(one, below, value);
  };
  // f(1/x)
  const auto of_reciprocal = [&](void (*f)(acb_t, const acb_t, slong)) {
    Ball inverse;
    const Evaluation status = Divide(one, x[0], &inverse);
    if (status == Evaluation::kOk) f(out, inverse.get(), precision);
    return status;
  };
  // Functions that leave the reals are undefined where they do.
  const auto real_if_real = [&] {
    if (options_.complex || acb_is_real(out)) return Evaluation::kOk;
    return arb_contains_zero(acb_imagref(out)) ? Evaluation::kUnresolved : Evaluation::kUndefined;
  };
  switch (node.function) {
    case Function::kSin:
      acb_sin(out, in, precision);
      return Evaluation::kOk;
    case Function::kCos:
      acb_cos(out, in, precision);
      return Evaluation::kOk;
    case Function::kTan:
      acb_tan(out, in, precision);
      return Evaluation::kOk;
    case Function::kCot:
      acb_cot(out, in, precision);
      return Evaluation::kOk;
    case Function::kSec:
      return reciprocal(acb_cos);
    case Function::kCsc:
      return reciprocal(acb_sin);
    case Function::kAsin:
      acb_asin(out, in, precision);
      return real_if_real();
    case Function::kAcos:
      acb_acos(out, in, precision);
      return real_if_real();
    case Function::kAtan:
      acb_atan(out, in, precision);
      return Evaluation::kOk;
    case Function::kAcot:
      return of_reciprocal(acb_atan);
    case Function::kAsec: {
      const Evaluation s = of_reciprocal(acb_acos);
      return s == Evaluation::kOk ? real_if_real() : s;
    }
    case Function::kAcsc: {
      const Evaluation s = of_reciprocal(acb_asin);
      return s == Evaluation::kOk ? real_if_real() : s;
    }
    case Function::kSinh:
      acb_sinh(out, in, precision);
      return Evaluation::kOk;
    case Function::kCosh:
      acb_cosh(out, in, precision);
      return Evaluation::kOk;
    case Function::kTanh:
      acb_tanh(out, in, precision);
      return Evaluation::kOk;
    case Function::kCoth:
      acb_coth(out, in, precision);
      return Evaluation::kOk;
    case Function::kSech:
      return reciprocal(acb_cosh);
    case Function::kCsch:
      return reciprocal(acb_sinh);
    case Function::kAsinh:
      acb_asinh(out, in, precision);
      return Evaluation::kOk;
    case Function::kAcosh:
      acb_acosh(out, in, precision);
      return real_if_real();
    case Function::kAtanh:
      acb_atanh(out, in, precision);
      return real_if_real();
    case Function::kExp:
      acb_exp(out, in, precision);
      return Evaluation::kOk;
    case Function::kLn:
      return Log(x[0], value);
    case Function::kLog:
    case Function::kLogBase: {
      const Evaluation status = Log(x[0], value);
      if (status != Evaluation::kOk || (node.function == Function::kLog && !options_.log_is_common))
        return status;
      Ball base, scale;
      if (node.function == Function::kLog) {
        acb_set_si(base.get(), 10);
      } else {
        base = x[1];
      }
      const Evaluation base_status = Log(base, &scale);
      return base_status == Evaluation::kOk ? Divide(Ball(*value), scale, value) : base_status;
    }
    case Function::kAbs:
      acb_abs(value->re(), in, precision);
      arb_zero(acb_imagref(out));
      return Evaluation::kOk;
    case Function::kSign: {
      const int sign = x[0].Sign();
      if (sign == 2) return Evaluation::kUnresolved;
      acb_set_si(out, sign);
      return Evaluation::kOk;
    }
    case Function::kFloor:
    case Function::kCeil:
      if (!acb_is_real(in)) return Evaluation::kUndefined;
      (node.function == Function::kFloor ? arb_floor : arb_ceil)(value->re(), x[0].re(), precision);
      return arb_is_exact(value->re()) ? Evaluation::kOk : Evaluation::kUnresolved;
    case Function::kMin:
    case Function::kMax:
      acb_set(out, in);
      for (const Ball& other : x) {
        if (!acb_is_real(other.get())) return Evaluation::kUndefined;
        (node.function == Function::kMin ? arb_min : arb_max)(value->re(), value->re(), other.re(),
                                                              precision);
      }
      return Evaluation::kOk;
    case Function::kFactorial: {
      Ball above;
      acb_add_si(above.get(), in, 1, precision);
      return Gamma(above, value);
    }
    case Function::kBinomial:
      break;
  }
  return Evaluation::kUndefined;
}

}  // namespace ponder::verifier::math
