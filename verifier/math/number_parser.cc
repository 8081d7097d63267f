// Numerals: integers, decimals, mixed numbers, numerals to a base.
#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "verifier/math/expression_parser.h"
#include "verifier/math/names.h"

namespace ponder::verifier::math {

const Node* ExpressionParser::NumberAtom() {
  const Token token = Peek();
  if (Peek(1).IsPunct('_')) {
    Advance();
    return BaseNumeral(token);
  }
  // 152A_{11}
  const Token& next = Peek(1);
  if (!token.decimal && next.type == TokenType::kWord && !next.space_before &&
      next.text.size() == 1 && absl::ascii_isupper(next.text[0]) && Peek(2).IsPunct('_')) {
    Token digits = token;
    digits.text += next.text;
    Advance();
    Advance();
    return BaseNumeral(digits);
  }
  const Node* whole = PlainNumber();
  return whole == nullptr || token.decimal ? whole : MixedNumber(whole);
}

// A number alone, whatever follows.
const Node* ExpressionParser::PlainNumber() {
  const Token token = Peek();
  Advance();
  if (token.text.size() + token.repeating.size() > static_cast<size_t>(kMaxBits / 3.33) ||
      std::abs(token.exponent) > kMaxBits / 4) {
    return OverBudget();
  }
  std::optional<Rational> value = Rational::FromDigits(token.text);
  if (!value) return Fail();
  if (!token.repeating.empty()) {
    // 0.1(6): (16 - 1) / 90
    const std::optional<Rational> all = Rational::FromDigits(token.text + token.repeating);
    if (!all) return Fail();
    const long period = static_cast<long>(token.repeating.size());
    value = (*all - *value) * (Rational::PowerOfTen(period) - Rational(1)).Inverse();
  }
  Node node;
  const size_t zeros = std::min(token.text.find_first_not_of('0'), token.text.size());
  node.decimal = token.decimal && token.repeating.empty();
  node.decimals = static_cast<int16_t>(std::min<long>(token.decimals - token.exponent, 32000));
  if (!token.decimal)
    node.decimals =
        static_cast<int16_t>(std::min<size_t>(token.text.size(), 32000));  // of a decimal comma
  node.digits = static_cast<int16_t>(std::min<size_t>(token.text.size() - zeros, 32000));
  node.alone = !token.decimal;
  node.number = *value * Rational::PowerOfTen(token.exponent - token.decimals);
  return Keep(std::move(node));
}

// 3\frac{1}{2}, or in plain text 3 1/2.
const Node* ExpressionParser::MixedNumber(const Node* whole) {
  const auto integer = [](const Token& token) {
    return token.type == TokenType::kNumber && !token.decimal;
  };
  if (integer(Peek()) && Peek().space_before && Peek(1).IsPunct('/') && integer(Peek(2)) &&
      !Peek(3).IsPunct('^')) {
    const std::optional<Rational> above = Rational::FromDigits(Peek().text),
                                  below = Rational::FromDigits(Peek(2).text);
    if (!above || !below || below->IsZero() || !(*above < *below)) return Fail();
    Advance();
    Advance();
    Advance();
    Node node;
    node.number = whole->number + *above * below->Inverse();
    return Keep(std::move(node));
  }
  if (!Peek().IsCommand("frac")) return whole;
  Advance();
  const Node* above = Argument();
  const Node* below = above == nullptr ? nullptr : Argument();
  if (below == nullptr) return nullptr;
  if (above->kind == Kind::kNumber && above->alone && below->kind == Kind::kNumber &&
      below->alone && !below->number.IsZero() && above->number.Sign() >= 0 &&
      above->number < below->number && !Peek().IsPunct('^')) {
    Node node;
    node.number = whole->number + above->number * below->number.Inverse();
    return Keep(std::move(node));
  }
  if (Full()) return OverBudget();
  const Node* fraction = Postfix(arena_.Quotient(above, below));
  return fraction == nullptr ? nullptr : Make(Kind::kProduct, {whole, fraction});
}

const Node* ExpressionParser::BaseNumeral(const Token& digits) {
  Advance();
  std::string subscript = RawGroup();
  if (const std::optional<long> named = NumberNamed(subscript)) subscript = absl::StrCat(*named);
  const std::optional<Rational> base =
      subscript.size() <= 2 ? Rational::FromDigits(subscript) : std::nullopt;
  const std::optional<long> radix = base ? base->ToLong() : std::nullopt;
  if (!radix || *radix < 2 || *radix > 36 || digits.decimal || digits.text.size() > 10000)
    return Fail();
  const std::optional<Rational> value = Rational::FromDigits(digits.text, static_cast<int>(*radix));
  if (!value) return Fail();
  Node node;
  node.number = *value;
  node.base_n = true;
  return Keep(std::move(node));
}

std::string ExpressionParser::RawGroup() {
  std::string raw;
  int braces = 0;
  do {
    const Token token = Peek();
    if (token.type == TokenType::kEnd) return "";
    if (token.IsPunct('{')) {
      ++braces;
    } else if (token.IsPunct('}')) {
      --braces;
    } else if (token.type == TokenType::kPunct || token.type == TokenType::kRelation) {
      raw.push_back(token.symbol);
    } else {
      absl::StrAppend(&raw, token.text);
    }
    if (token.IsPunct('{') && braces > kMaxDepth) return "";
    Advance();
  } while (braces > 0);
  return raw;
}

}  // namespace ponder::verifier::math
