// Exact rational numbers.
#pragma once

#include <flint/fmpq.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "verifier/math/flint_thread.h"

namespace ponder::verifier::math {

// A value: FLINT's fmpq, always in lowest terms. Operations don't bound their own size: the caller
// looks at Bits() first.
class Rational {
 public:
  Rational() {
    FreeFlintCachesAtThreadEnd();
    fmpq_init(value_);
  }
  Rational(long integer) : Rational() { fmpq_set_si(value_, integer, 1); }  // NOLINT: a number
  Rational(long numerator, unsigned long denominator) : Rational() {
    fmpq_set_si(value_, numerator, denominator);
  }
  Rational(const Rational& other) : Rational() { fmpq_set(value_, other.value_); }
  Rational(Rational&& other) noexcept : Rational() { fmpq_swap(value_, other.value_); }
  Rational& operator=(Rational other) noexcept {
    fmpq_swap(value_, other.value_);
    return *this;
  }
  ~Rational() { fmpq_clear(value_); }

  // The integer that `digits` spells in `base` (2 to 36); only digits and letters.
  static std::optional<Rational> FromDigits(absl::string_view digits, int base = 10);
  static Rational PowerOfTen(long exponent);

  bool IsZero() const { return fmpq_is_zero(value_); }
  bool IsOne() const { return fmpq_is_one(value_); }
  bool IsInteger() const { return fmpz_is_one(fmpq_denref(value_)); }
  bool IsOddInteger() const { return IsInteger() && fmpz_is_odd(fmpq_numref(value_)); }
  bool HasOddDenominator() const { return fmpz_is_odd(fmpq_denref(value_)); }
  int Sign() const { return fmpq_sgn(value_); }
  // Of the longer of numerator and denominator.
  long Bits() const {
    return std::max<long>(fmpz_bits(fmpq_numref(value_)), fmpz_bits(fmpq_denref(value_)));
  }
  // If it is an integer that fits.
  std::optional<long> ToLong() const;
  std::string ToString() const;

  Rational Abs() const;
  Rational Floor() const;
  Rational Inverse() const;             // of a number that is not zero
  Rational Power(long exponent) const;  // zero only to powers >= 0

  Rational operator-() const;
  friend Rational operator+(const Rational& a, const Rational& b);
  friend Rational operator-(const Rational& a, const Rational& b);
  friend Rational operator*(const Rational& a, const Rational& b);
  friend bool operator==(const Rational& a, const Rational& b) {
    return fmpq_equal(a.value_, b.value_);
  }
  friend bool operator!=(const Rational& a, const Rational& b) { return !(a == b); }
  friend bool operator<(const Rational& a, const Rational& b) {
    return fmpq_cmp(a.value_, b.value_) < 0;
  }
  friend bool operator<=(const Rational& a, const Rational& b) { return !(b < a); }

  const fmpq* fmpq_value() const { return value_; }
  fmpq* fmpq_value() { return value_; }

 private:
  fmpq_t value_;
};

}  // namespace ponder::verifier::math
