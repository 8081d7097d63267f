#include "verifier/math/number.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace ponder::verifier {
namespace {

constexpr size_t kMaxDigits = 4096;

// Eats one of the decorations that may stand around a number.
bool StripDecoration(absl::string_view* text) {
  for (const absl::string_view prefix : {"$", "\\$", "\\(", "**", "\\left", " "}) {
    if (absl::StartsWith(*text, prefix)) {
      text->remove_prefix(prefix.size());
      return true;
    }
  }
  for (const absl::string_view suffix : {"$", "\\)", "**", ".", " "}) {
    if (absl::EndsWith(*text, suffix)) {
      text->remove_suffix(suffix.size());
      return true;
    }
  }
  return false;
}

// Eats digits with thousands separators and an optional fraction part; nullopt if there is no
// digit.
std::optional<mpq_class> EatDecimal(absl::string_view* text) {
  std::string digits;
  size_t i = 0, fraction_digits = 0;
  bool point = false;
  for (; i < text->size(); ++i) {
    const char c = (*text)[i];
    if (absl::ascii_isdigit(c)) {
      digits.push_back(c);
      fraction_digits += point;
    } else if (c == '.' && !point) {
      point = true;
    } else if (!(c == ',' && !point && !digits.empty() && i + 3 < text->size() &&
                 absl::ascii_isdigit((*text)[i + 1]) && absl::ascii_isdigit((*text)[i + 2]) &&
                 absl::ascii_isdigit((*text)[i + 3]))) {
      break;
    }
    if (digits.size() > kMaxDigits) return std::nullopt;
  }
  if (digits.empty()) return std::nullopt;
  text->remove_prefix(i);
  mpz_class scale;
  mpz_ui_pow_ui(scale.get_mpz_t(), 10, fraction_digits);
  mpq_class value(mpz_class(digits, 10), scale);
  value.canonicalize();
  return value;
}

// Eats "{12}" or "1": one argument of \frac.
std::optional<mpq_class> EatArgument(absl::string_view* text) {
  *text = absl::StripLeadingAsciiWhitespace(*text);
  if (text->empty()) return std::nullopt;
  if (absl::ascii_isdigit(text->front())) {
    absl::string_view digit = text->substr(0, 1);
    text->remove_prefix(1);
    return EatDecimal(&digit);
  }
  const size_t close = text->find('}');
  if (text->front() != '{' || close == absl::string_view::npos) return std::nullopt;
  const std::optional<mpq_class> value = ParseNumber(text->substr(1, close - 1));
  text->remove_prefix(close + 1);
  return value;
}

}  // namespace

std::optional<mpq_class> ParseNumber(absl::string_view text) {
  while (StripDecoration(&text)) {
  }
  bool negative = false;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    negative = text.front() == '-';
    text = absl::StripLeadingAsciiWhitespace(text.substr(1));
    while (absl::StartsWith(text, "$") || absl::StartsWith(text, "\\$")) {
      text.remove_prefix(text.front() == '$' ? 1 : 2);
    }
  }
  std::optional<mpq_class> value, divisor;
  bool fraction = false;
  for (const absl::string_view command : {"\\frac", "\\dfrac", "\\tfrac"}) {
    if (!absl::StartsWith(text, command)) continue;
    text.remove_prefix(command.size());
    fraction = true;
    value = EatArgument(&text);
    if (value) divisor = EatArgument(&text);
  }
  if (!fraction) {
    value = EatDecimal(&text);
    if (value && absl::StartsWith(text, "/")) {
      fraction = true;
      text.remove_prefix(1);
      divisor = EatDecimal(&text);
    }
  }
  if (!value || (fraction && (!divisor || *divisor == 0))) return std::nullopt;
  if (fraction) *value /= *divisor;
  // A unit may follow, anything else not.
  for (const char c : text) {
    if (!absl::ascii_isalpha(c) && c != ' ') return std::nullopt;
  }
  return negative ? mpq_class(-*value) : *value;
}

}  // namespace ponder::verifier
