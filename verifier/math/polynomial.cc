#include "verifier/math/polynomial.h"

#include <flint/fmpq_mpoly.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/container/btree_map.h"
#include "verifier/math/exact.h"

namespace ponder::verifier::math {
namespace {

constexpr long kMaxTerms = 3000;
constexpr long kMaxDegree = 2000;

// The generators of both expressions. Owns FLINT's context.
class Ring {
 public:
  // Collects the generators of a and b.
  Ring(const Node& a, const Node& b, Budget* budget) : budget_(*budget) {
    Collect(a);
    Collect(b);
    fmpq_mpoly_ctx_init(context_, static_cast<slong>(std::max<size_t>(1, generators_.size())),
                        ORD_DEGREVLEX);
    long index = 0;
    for (auto& [name, position] : generators_) position = index++;
  }
  ~Ring() { fmpq_mpoly_ctx_clear(context_); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  const fmpq_mpoly_ctx_struct* context() const { return context_; }
  // Whether every generator is a symbol.
  bool pure() const { return pure_; }
  Budget& budget() { return budget_; }
  long Position(const std::string& name) const { return generators_.at(name); }
  // Sums, products and whole powers are looked into; the rest is a generator.
  static bool IsArithmetic(const Node& node) {
    if (node.kind == Kind::kPower)
      return node.children[1]->kind == Kind::kNumber &&
             node.children[1]->number.ToLong().has_value();
    return node.kind == Kind::kSum || node.kind == Kind::kProduct || node.kind == Kind::kPercent ||
           node.kind == Kind::kNumber || node.kind == Kind::kQuantity;
  }

 private:
  void Collect(const Node& node) {
    if (IsArithmetic(node)) {
      for (const Node* child : node.children) Collect(*child);
      return;
    }
    if (node.kind != Kind::kSymbol) {
      Rational value;
      if (ExactValue(node, &budget_, &value) == Exactness::kValue) return;
      pure_ = false;
    }
    generators_.try_emplace(CanonicalText(node), 0);
  }

  Budget& budget_;
  absl::btree_map<std::string, long> generators_;
  bool pure_ = true;
  fmpq_mpoly_ctx_t context_;
};

class Polynomial {
 public:
  explicit Polynomial(Ring* ring) : ring_(ring) { fmpq_mpoly_init(value_, ring_->context()); }
  ~Polynomial() { fmpq_mpoly_clear(value_, ring_->context()); }
  Polynomial(const Polynomial&) = delete;
  Polynomial& operator=(const Polynomial&) = delete;

  fmpq_mpoly_struct* get() { return value_; }
  long terms() const { return fmpq_mpoly_length(value_, ring_->context()); }
  bool IsZero() const { return fmpq_mpoly_is_zero(value_, ring_->context()); }
  void SetOne() { fmpq_mpoly_one(value_, ring_->context()); }
  void Swap(Polynomial* other) { fmpq_mpoly_swap(value_, other->value_, ring_->context()); }

  bool Multiply(Polynomial* other) {
    const long work = terms() * other->terms();
    if (work > 20 * kMaxTerms || !ring_->budget().Spend(200 + 150 * work)) return false;
    Polynomial made(ring_);
    fmpq_mpoly_mul(made.value_, value_, other->value_, ring_->context());
    Swap(&made);
    return terms() <= kMaxTerms;
  }
  bool Add(Polynomial* other) {
    if (!ring_->budget().Spend(200 + 100 * (terms() + other->terms()))) return false;
    Polynomial made(ring_);
    fmpq_mpoly_add(made.value_, value_, other->value_, ring_->context());
    Swap(&made);
    return terms() <= kMaxTerms;
  }
  bool Power(long exponent) {
    // There are at most binomial(terms + n - 1, n) terms.
    const long n = exponent, t = terms();
    if (n > kMaxDegree) return false;
    double bound = 1;
    for (long i = 1; i < t && bound <= kMaxTerms; ++i) bound *= static_cast<double>(n + i) / i;
    if (bound > kMaxTerms ||
        !ring_->budget().Spend(500 + static_cast<int64_t>(bound) * 200 * std::max(1L, t)))
      return false;
    if (t == 1 && CoefficientBits() * n > kMaxBits) return false;
    if (t > 1 && (CoefficientBits() + 8) * n > kMaxBits) return false;
    Polynomial made(ring_);
    if (!fmpq_mpoly_pow_ui(made.value_, value_, static_cast<ulong>(n), ring_->context()))
      return false;
    Swap(&made);
    return true;
  }

 private:
  long CoefficientBits() const {
    return fmpz_mpoly_max_bits(value_->zpoly) < 0 ? -fmpz_mpoly_max_bits(value_->zpoly)
                                                  : fmpz_mpoly_max_bits(value_->zpoly);
  }

  Ring* const ring_;
  fmpq_mpoly_t value_;
};

// numerator / denominator, the latter not zero.
struct Fraction {
  explicit Fraction(Ring* ring) : numerator(ring), denominator(ring) { denominator.SetOne(); }
  Polynomial numerator, denominator;
};

// False: too much work, or a division by zero.
bool Convert(const Node& node, Ring* ring, Fraction* out) {
  if (!ring->budget().Spend(300)) return false;
  if (!Ring::IsArithmetic(node)) {
    Rational value;
    if (node.kind != Kind::kSymbol &&
        ExactValue(node, &ring->budget(), &value) == Exactness::kValue) {
      fmpq_mpoly_set_fmpq(out->numerator.get(), value.fmpq_value(), ring->context());
    } else {
      fmpq_mpoly_gen(out->numerator.get(), ring->Position(CanonicalText(node)), ring->context());
    }
    return true;
  }
  switch (node.kind) {
    case Kind::kNumber:
      fmpq_mpoly_set_fmpq(out->numerator.get(), node.number.fmpq_value(), ring->context());
      return true;
    case Kind::kSum:
      for (const Node* child : node.children) {
        // n/d + a/b = (n b + a d) / (d b)
        Fraction term(ring);
        if (!Convert(*child, ring, &term)) return false;
        Polynomial cross(ring);
        cross.SetOne();
        if (!cross.Multiply(&term.numerator) || !cross.Multiply(&out->denominator) ||
            !out->numerator.Multiply(&term.denominator) || !out->numerator.Add(&cross) ||
            !out->denominator.Multiply(&term.denominator)) {
          return false;
        }
      }
      return true;
    case Kind::kProduct:
      out->numerator.SetOne();
      for (const Node* child : node.children) {
        Fraction factor(ring);
        if (!Convert(*child, ring, &factor) || !out->numerator.Multiply(&factor.numerator) ||
            !out->denominator.Multiply(&factor.denominator)) {
          return false;
        }
      }
      return true;
    case Kind::kPower: {
      if (!Convert(*node.children[0], ring, out)) return false;
      const long exponent = *node.children[1]->number.ToLong();
      if (exponent < 0) {
        if (out->numerator.IsZero()) return false;
        out->numerator.Swap(&out->denominator);
      }
      if (exponent < -kMaxDegree || exponent > kMaxDegree) return false;
      return out->numerator.Power(std::abs(exponent)) && out->denominator.Power(std::abs(exponent));
    }
    default: {  // percent, quantity
      if (!Convert(*node.children[0], ring, out)) return false;
      if (node.kind == Kind::kPercent) {
        fmpq_mpoly_scalar_div_ui(out->numerator.get(), out->numerator.get(), 100, ring->context());
      }
      return true;
    }
  }
}

// a = x/y, b = z/w: x w and z y.
bool CrossMultiply(Ring* ring, const Node& a, const Node& b, Polynomial* left, Polynomial* right) {
  Fraction first(ring), second(ring);
  if (!Convert(a, ring, &first) || !Convert(b, ring, &second)) return false;
  if (!first.numerator.Multiply(&second.denominator) ||
      !second.numerator.Multiply(&first.denominator))
    return false;
  left->Swap(&first.numerator);
  right->Swap(&second.numerator);
  return true;
}

}  // namespace

std::optional<bool> SameRationalFunction(const Node& a, const Node& b, Budget* budget) {
  Ring ring(a, b, budget);
  Polynomial left(&ring), right(&ring);
  if (!CrossMultiply(&ring, a, b, &left, &right)) return std::nullopt;
  if (fmpq_mpoly_equal(left.get(), right.get(), ring.context())) return true;
  return ring.pure() ? std::optional<bool>(false) : std::nullopt;
}

std::optional<bool> Proportional(const Node& a, const Node& b, Budget* budget, int* sign) {
  Ring ring(a, b, budget);
  Polynomial left(&ring), right(&ring);
  if (!CrossMultiply(&ring, a, b, &left, &right)) return std::nullopt;
  if (left.IsZero() || right.IsZero()) return left.IsZero() && right.IsZero();
  // FLINT keeps a primitive integer polynomial with a positive leading coefficient, times its
  // content.
  const bool same = fmpz_mpoly_equal(left.get()->zpoly, right.get()->zpoly, ring.context()->zctx);
  if (same && sign != nullptr)
    *sign = fmpq_sgn(left.get()->content) * fmpq_sgn(right.get()->content);
  if (same) return true;
  return ring.pure() ? std::optional<bool>(false) : std::nullopt;
}

}  // namespace ponder::verifier::math
