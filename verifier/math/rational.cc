#include "verifier/math/rational.h"

#include <flint/fmpz.h>

namespace ponder::verifier::math {

std::optional<Rational> Rational::FromDigits(absl::string_view digits, int base) {
  Rational made;
  // fmpz_set_str wants a terminated string and is subquadratic.
  if (digits.empty() || fmpz_set_str(fmpq_numref(made.value_), std::string(digits).c_str(), base)) {
    return std::nullopt;
  }
  return made;
}

Rational Rational::PowerOfTen(long exponent) { return Rational(10).Power(exponent); }

std::optional<long> Rational::ToLong() const {
  if (!IsInteger() || !fmpz_fits_si(fmpq_numref(value_))) return std::nullopt;
  return fmpz_get_si(fmpq_numref(value_));
}

std::string Rational::ToString() const {
  char* text = fmpq_get_str(nullptr, 10, value_);
  std::string copy(text);
  flint_free(text);
  return copy;
}

Rational Rational::Abs() const {
  Rational made;
  fmpq_abs(made.value_, value_);
  return made;
}

Rational Rational::Floor() const {
  Rational made;
  fmpz_fdiv_q(fmpq_numref(made.value_), fmpq_numref(value_), fmpq_denref(value_));
  return made;
}

Rational Rational::Inverse() const {
  Rational made;
  fmpq_inv(made.value_, value_);
  return made;
}

Rational Rational::Power(long exponent) const {
  Rational made;
  fmpq_pow_si(made.value_, value_, exponent);
  return made;
}

Rational Rational::operator-() const {
  Rational made;
  fmpq_neg(made.value_, value_);
  return made;
}

Rational operator+(const Rational& a, const Rational& b) {
  Rational made;
  fmpq_add(made.value_, a.value_, b.value_);
  return made;
}

Rational operator-(const Rational& a, const Rational& b) {
  Rational made;
  fmpq_sub(made.value_, a.value_, b.value_);
  return made;
}

Rational operator*(const Rational& a, const Rational& b) {
  Rational made;
  fmpq_mul(made.value_, a.value_, b.value_);
  return made;
}

}  // namespace ponder::verifier::math
