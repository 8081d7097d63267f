#include "data/puzzle/expression.h"

#include <numeric>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace ponder::data::puzzle {
namespace {

constexpr size_t kMaxBytes = 4096;
constexpr size_t kMaxNumbers = 64;
constexpr int kMaxDepth = 100;

std::optional<Fraction> Reduced(__int128 num, __int128 den) {
  if (den == 0) return std::nullopt;
  __int128 a = num < 0 ? -num : num, b = den < 0 ? -den : den;
  while (b != 0) a = std::exchange(b, a % b);
  num /= den < 0 ? -a : a;
  den /= den < 0 ? -a : a;
  constexpr __int128 kMax = INT64_MAX;
  if (num > kMax || num < -kMax || den > kMax) return std::nullopt;
  return Fraction{static_cast<int64_t>(num), static_cast<int64_t>(den)};
}

// Recursive descent; `failed` once something is no expression.
class Parser {
 public:
  explicit Parser(absl::string_view text) : rest_(text) {}

  std::optional<Expression> Parse() {
    Expression found;
    found.value = Sum(0);
    Skip();
    if (failed_ || !rest_.empty()) return std::nullopt;
    found.numbers = std::move(numbers_);
    return found;
  }

 private:
  using Value = std::optional<Fraction>;

  void Skip() {
    do {
      rest_ = absl::StripLeadingAsciiWhitespace(rest_);
    } while (absl::ConsumePrefix(&rest_, "\\left") || absl::ConsumePrefix(&rest_, "\\right") ||
             absl::ConsumePrefix(&rest_, "\\,") || absl::ConsumePrefix(&rest_, "\\ "));
  }
  bool Eat(std::initializer_list<absl::string_view> spellings) {
    Skip();
    for (const absl::string_view spelling : spellings) {
      if (absl::ConsumePrefix(&rest_, spelling)) return true;
    }
    return false;
  }
  Value Combine(Value a, char op, Value b) { return a && b ? Apply(*a, op, *b) : std::nullopt; }

  Value Sum(int depth) {
    Value value = Product(depth);
    while (!failed_) {
      if (Eat({"+"})) {
        value = Combine(value, '+', Product(depth));
      } else if (Eat({"-", "−", "–"})) {
        value = Combine(value, '-', Product(depth));
      } else {
        break;
      }
    }
    return value;
  }
  Value Product(int depth) {
    Value value = Primary(depth);
    while (!failed_) {
      if (Eat({"*", "×", "·", "⋅", "\\times", "\\cdot", "x"})) {
        value = Combine(value, '*', Primary(depth));
      } else if (Eat({"/", "÷", "\\div"})) {
        value = Combine(value, '/', Primary(depth));
      } else {
        break;
      }
    }
    return value;
  }
  Value Bracketed(absl::string_view close, int depth) {
    const Value value = depth < kMaxDepth ? Sum(depth + 1) : Fail();
    return Eat({close}) ? value : Fail();
  }
  Value Primary(int depth) {
    if (failed_) return std::nullopt;
    if (Eat({"("})) return Bracketed(")", depth);
    if (Eat({"["})) return Bracketed("]", depth);
    if (Eat({"{"})) return Bracketed("}", depth);
    if (Eat({"\\frac", "\\dfrac", "\\tfrac"})) {
      const Value above = Eat({"{"}) ? Bracketed("}", depth) : Fail();
      const Value below = Eat({"{"}) ? Bracketed("}", depth) : Fail();
      return Combine(above, '/', below);
    }
    int number = 0;
    size_t digits = 0;
    while (digits < rest_.size() && absl::ascii_isdigit(rest_[digits])) {
      if (digits == 9) return Fail();
      number = number * 10 + (rest_[digits++] - '0');
    }
    if (digits == 0 || numbers_.size() == kMaxNumbers) return Fail();
    rest_.remove_prefix(digits);
    numbers_.push_back(number);
    return Fraction{number, 1};
  }
  Value Fail() {
    failed_ = true;
    return std::nullopt;
  }

  absl::string_view rest_;
  std::vector<int> numbers_;
  bool failed_ = false;
};

struct Term {
  Fraction value;
  std::string text;
};

Search Combine(const std::vector<Term>& terms, const Fraction& target, int64_t* budget,
               std::string* expression) {
  if (terms.size() == 1) {
    if (!(terms[0].value == target)) return Search::kImpossible;
    *expression = terms[0].text;
    return Search::kFound;
  }
  for (size_t i = 0; i < terms.size(); ++i) {
    for (size_t j = 0; j < terms.size(); ++j) {
      if (i == j) continue;
      for (const char op : {'+', '*', '-', '/'}) {
        if ((op == '+' || op == '*') && i > j) continue;
        if (--*budget < 0) return Search::kOverBudget;
        const std::optional<Fraction> value = Apply(terms[i].value, op, terms[j].value);
        if (!value) continue;
        std::vector<Term> left = {
            {*value, absl::StrCat("(", terms[i].text, std::string(1, op), terms[j].text, ")")}};
        for (size_t k = 0; k < terms.size(); ++k) {
          if (k != i && k != j) left.push_back(terms[k]);
        }
        const Search found = Combine(left, target, budget, expression);
        if (found != Search::kImpossible) return found;
      }
    }
  }
  return Search::kImpossible;
}

}  // namespace

std::optional<Fraction> Apply(Fraction a, char op, Fraction b) {
  const __int128 an = a.num, ad = a.den, bn = b.num, bd = b.den;
  // Cross products of 63-bit numbers fit; their sum may not, but only just.
  switch (op) {
    case '+':
      return Reduced(an * bd + bn * ad, ad * bd);
    case '-':
      return Reduced(an * bd - bn * ad, ad * bd);
    case '*':
      return Reduced(an * bn, ad * bd);
    default:
      return Reduced(an * bd, ad * bn);
  }
}

std::optional<Expression> ParseExpression(absl::string_view text) {
  if (text.size() > kMaxBytes) return std::nullopt;
  return Parser(text).Parse();
}

Search FindExpression(const std::vector<int>& numbers, int target, int64_t budget,
                      std::string* expression) {
  std::vector<Term> terms;
  for (const int number : numbers) terms.push_back({{number, 1}, absl::StrCat(number)});
  return terms.empty() ? Search::kImpossible : Combine(terms, {target, 1}, &budget, expression);
}

}  // namespace ponder::data::puzzle
