#include "verifier/math/scalar.h"

#include <algorithm>
#include <optional>

#include "absl/container/btree_set.h"
#include "verifier/math/evaluate.h"
#include "verifier/math/exact.h"
#include "verifier/math/polynomial.h"

namespace ponder::verifier::math {
namespace {

constexpr long kPrecisions[] = {64, 256, 1024, 4096, 16384};
constexpr int kSamples = 64;
constexpr int kFirstSamples = 12;  // all of the near regions
constexpr int kNeeded = 8;         // points where both sides are defined

bool IsOpaque(const Node& node) {
  return node.kind == Kind::kSymbol || node.kind == Kind::kApply || node.kind == Kind::kUnevaluated;
}

void CollectSymbols(const Node& node, absl::btree_set<std::string>* names) {
  if (IsOpaque(node)) {
    names->insert(node.kind == Kind::kSymbol ? node.name : CanonicalText(node));
    return;
  }
  for (const Node* child : node.children) CollectSymbols(*child, names);
}

// Two values at one point.
enum class Comparison : uint8_t {
  kEqual,      // as far as the precision reaches, and it reaches far enough
  kDifferent,  // proven
  kNeither,    // neither has a value
  kOneSided,   // one has a value, the other none
  kUnresolved,
  kOverBudget,
};

Comparison CompareAt(const Node& a, const Node& b, EvaluationOptions options, long max_precision,
                     Budget* budget) {
  for (const long precision : kPrecisions) {
    if (precision > max_precision) break;
    options.precision = precision;
    Evaluator left(options, budget), right(options, budget);
    Ball x, y, difference;
    const Evaluation first = left.Evaluate(a, &x), second = right.Evaluate(b, &y);
    if (first == Evaluation::kOverBudget || second == Evaluation::kOverBudget)
      return Comparison::kOverBudget;
    if (first == Evaluation::kUnresolved || second == Evaluation::kUnresolved) continue;
    if (first == Evaluation::kUndefined && second == Evaluation::kUndefined)
      return Comparison::kNeither;
    if (first == Evaluation::kUndefined || second == Evaluation::kUndefined)
      return Comparison::kOneSided;
    acb_sub(difference.get(), x.get(), y.get(), precision);
    if (!acb_contains_zero(difference.get())) return Comparison::kDifferent;
    if (precision < 256) continue;
    // Equal as far as one can see: far enough?
    const long magnitude = std::max(left.magnitude(), right.magnitude());
    if (magnitude > (precision - 128) / 2) continue;  // it may be the greatest long
    if (mag_cmp_2exp_si(arb_radref(acb_realref(difference.get())), -precision / 2) < 0 &&
        mag_cmp_2exp_si(arb_radref(acb_imagref(difference.get())), -precision / 2) < 0) {
      return Comparison::kEqual;
    }
  }
  return Comparison::kUnresolved;
}

Truth SameConstant(const Node& a, const Node& b, EvaluationOptions options, Budget* budget) {
  switch (CompareAt(a, b, options, kPrecisions[4], budget)) {
    case Comparison::kEqual:
      return Truth::kYes;
    case Comparison::kDifferent:
      return Truth::kNo;
    case Comparison::kNeither:
    case Comparison::kOneSided:
      if (options.complex) return Truth::kNo;
      options.complex = true;  // the root of -4 is 2i
      return SameConstant(a, b, options, budget);
    default:
      return Truth::kUnknown;
  }
}

Truth SameFunction(const Node& a, const Node& b, EvaluationOptions options, size_t variables,
                   Budget* budget) {
  constexpr long kPrecision = 4096;
  int equal = 0, samples = 0;
  bool proven = false;
  for (; samples < kSamples; ++samples) {
    if (samples >= kFirstSamples && equal >= kNeeded) break;
    options.sample = samples;
    switch (CompareAt(a, b, options, kPrecision, budget)) {
      case Comparison::kEqual:
        ++equal;
        break;
      case Comparison::kDifferent:
        return Truth::kNo;
      case Comparison::kNeither:
        break;
      case Comparison::kOneSided: {
        // \ln x^2 and 2 \ln x differ as complex functions; for several variables a book means
        // positive ones.
        if (variables > 1 || options.complex) break;
        EvaluationOptions complex = options;
        complex.complex = true;
        const Comparison comparison = CompareAt(a, b, complex, kPrecision, budget);
        if (comparison == Comparison::kDifferent) return Truth::kNo;
        break;
      }
      case Comparison::kUnresolved:
        break;
      case Comparison::kOverBudget:
        return Truth::kUnknown;
    }
    if (samples == 1 && equal == 2) {
      const std::optional<bool> same = SameRationalFunction(a, b, budget);
      if (same.has_value()) proven = true;
      if (proven) return TruthOf(*same);
    }
  }
  return equal >= kNeeded ? Truth::kYes : Truth::kUnknown;
}

Truth SameExpression(const Node& a, const Node& b, const EvaluationOptions& options,
                     Budget* budget) {
  absl::btree_set<std::string> names;
  CollectSymbols(a, &names);
  CollectSymbols(b, &names);
  return names.empty() ? SameConstant(a, b, options, budget)
                       : SameFunction(a, b, options, names.size(), budget);
}

bool HasBareLog(const Node& node) {
  if (node.kind == Kind::kFunction && node.function == Function::kLog) return true;
  return std::any_of(node.children.begin(), node.children.end(),
                     [](const Node* child) { return HasBareLog(*child); });
}

}  // namespace

bool IsConstant(const Node& node) {
  return !IsOpaque(node) && std::all_of(node.children.begin(), node.children.end(),
                                        [](const Node* child) { return IsConstant(*child); });
}

Truth SameValue(const Node& a, const Node& b, Budget* budget) {
  if (IsInfinite(a) || IsInfinite(b)) {
    if (!IsInfinite(a) || !IsInfinite(b)) return Truth::kNo;
    return TruthOf((a.kind == Kind::kInfinity) == (b.kind == Kind::kInfinity));
  }
  if (Contains(a, Kind::kInfinity) || Contains(b, Kind::kInfinity)) return Truth::kUnknown;
  Rational x, y;
  const Exactness first = ExactValue(a, budget, &x), second = ExactValue(b, budget, &y);
  if (first == Exactness::kUndefined || second == Exactness::kUndefined) return Truth::kNo;
  if (first == Exactness::kValue && second == Exactness::kValue) return TruthOf(x == y);
  if (first != Exactness::kValue && second != Exactness::kValue && !IsUndefined(a, budget) &&
      CanonicalText(a) == CanonicalText(b)) {
    return Truth::kYes;
  }
  EvaluationOptions options;
  options.complex = Contains(a, Kind::kI) || Contains(b, Kind::kI);
  const Truth truth = SameExpression(a, b, options, budget);
  if (truth != Truth::kNo || (!HasBareLog(a) && !HasBareLog(b))) return truth;
  options.log_is_common = true;
  return SameExpression(a, b, options, budget);
}

int CompareReals(const Node& a, const Node& b, Budget* budget) {
  const int left = a.kind == Kind::kInfinity ? 1 : IsInfinite(a) ? -1 : 0;
  const int right = b.kind == Kind::kInfinity ? 1 : IsInfinite(b) ? -1 : 0;
  if (left != 0 || right != 0) return left == right ? 0 : left < right ? -1 : 1;
  if (!IsConstant(a) || !IsConstant(b)) return 2;
  Rational x, y;
  if (ExactValue(a, budget, &x) == Exactness::kValue &&
      ExactValue(b, budget, &y) == Exactness::kValue) {
    return x == y ? 0 : x < y ? -1 : 1;
  }
  const Truth same = SameValue(a, b, budget);
  if (same != Truth::kNo) return same == Truth::kYes ? 0 : 2;
  for (const long precision : kPrecisions) {
    EvaluationOptions options;
    options.precision = precision;
    Ball p, q;
    if (Evaluator(options, budget).Evaluate(a, &p) != Evaluation::kOk ||
        Evaluator(options, budget).Evaluate(b, &q) != Evaluation::kOk)
      continue;
    if (arb_lt(p.re(), q.re())) return -1;
    if (arb_gt(p.re(), q.re())) return 1;
  }
  return 2;
}

Truth Within(const Node& a, const Rational& b, const Rational& bound, Budget* budget) {
  Rational exact;
  if (ExactValue(a, budget, &exact) == Exactness::kValue)
    return TruthOf((exact - b).Abs() <= bound);
  if (!IsConstant(a)) return Truth::kNo;
  for (const long precision : {128L, 512L, 2048L}) {
    EvaluationOptions options;
    options.precision = precision;
    Ball value, center, limit;
    const Evaluation status = Evaluator(options, budget).Evaluate(a, &value);
    if (status == Evaluation::kUndefined) return Truth::kNo;
    if (status == Evaluation::kOverBudget) return Truth::kUnknown;
    if (status != Evaluation::kOk) continue;
    acb_set_fmpq(center.get(), b.fmpq_value(), precision);
    acb_set_fmpq(limit.get(), bound.fmpq_value(), precision);
    acb_sub(value.get(), value.get(), center.get(), precision);
    arb_abs(value.re(), value.re());
    if (arb_lt(value.re(), limit.re())) return Truth::kYes;
    if (arb_gt(value.re(), limit.re())) return Truth::kNo;
  }
  return Truth::kUnknown;
}

bool IsUndefined(const Node& node, Budget* budget) {
  Rational value;
  const Exactness exactness = ExactValue(node, budget, &value);
  if (exactness != Exactness::kNotRational) return exactness == Exactness::kUndefined;
  return std::any_of(node.children.begin(), node.children.end(),
                     [budget](const Node* child) { return IsUndefined(*child, budget); });
}

}  // namespace ponder::verifier::math
