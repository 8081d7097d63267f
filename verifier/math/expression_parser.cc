#include "verifier/math/expression_parser.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "verifier/math/names.h"

namespace ponder::verifier::math {

ParseResult ExpressionParser::Run() {
  if (Peek().type == TokenType::kEnd) return {nullptr, ParseFailure::kSyntax};
  const Node* tree = List(/*plain=*/true);
  if (tree != nullptr && Peek().type != TokenType::kEnd) tree = Fail();
  if (tree == nullptr)
    return {nullptr, failure_ == ParseFailure::kNone ? ParseFailure::kSyntax : failure_};
  return {tree, ParseFailure::kNone};
}

bool ExpressionParser::IsCloser(const Token& token) const {
  return token.IsPunct(')') || token.IsPunct(']') || token.IsPunct('}') || token.IsPunct('&') ||
         token.IsPunct('\n') || token.IsCommand("}") || token.IsCommand("rfloor") ||
         token.IsCommand("rceil") || token.IsCommand("rangle") ||
         (token.type == TokenType::kCommand && absl::StartsWith(token.text, "end:")) ||
         (bars_ > 0 && token.IsPunct('|'));
}

bool ExpressionParser::StartsFactor(const Token& token) const {
  switch (token.type) {
    case TokenType::kNumber:
      return true;
    case TokenType::kWord:
      return true;
    case TokenType::kPunct:
      return token.symbol == '(' || token.symbol == '[' || token.symbol == '{' ||
             (token.symbol == '|' && bars_ == 0);
    case TokenType::kCommand:
      return !IsCloser(token) && token.text != "cup" && token.text != "cap" &&
             token.text != "setminus" && token.text != "pm" && token.text != "mp" &&
             token.text != "or" && token.text != "and" && token.text != "over" &&
             token.text != "choose" && token.text != "to" && token.text != "mod" &&
             token.text != "bmod" && token.text != "pmod";
    default:
      return false;
  }
}

const Node* ExpressionParser::Sum() {
  Deeper deeper(this);
  if (deeper.too_deep()) return OverBudget();
  Nodes terms;
  char sign = '+';
  bool first = true;
  for (;;) {
    const char before = sign;
    if (EatPunct('+')) {
      sign = '+';
    } else if (EatPunct('-')) {
      sign = '-';
    } else if (Peek().IsCommand("pm") || Peek().IsCommand("mp")) {
      sign = Peek().text == "pm" ? 'p' : 'm';
      Advance();
    } else if (!first) {
      break;
    } else {
      sign = before;
    }
    first = false;
    const Node* term = Product();
    if (term == nullptr) return nullptr;
    if (sign == '-' && !terms.empty() && !IsScalar(*terms.back()) &&
        terms.back()->kind != Kind::kMatrix) {
      terms.back() = Make(Kind::kDifference, {terms.back(), term});
      continue;
    }
    if (sign == '-') term = Full() ? OverBudget() : arena_.Negate(term);
    if (sign == 'p' || sign == 'm') term = Make(Kind::kPlusMinus, {term}, sign == 'p' ? "+" : "-");
    if (term == nullptr) return nullptr;
    terms.push_back(term);
    sign = '+';
  }
  if (terms.size() == 1) return terms[0];
  for (const Node*& term : terms) term = Ungrouped(term);
  return Make(Kind::kSum, std::move(terms));
}

// \{a\} among numbers is a, in other brackets.
const Node* ExpressionParser::Ungrouped(const Node* operand) {
  const bool group = operand->kind == Kind::kSet && operand->children.size() == 1 &&
                     IsScalar(*operand->children[0]);
  return group ? operand->children[0] : operand;
}

const Node* ExpressionParser::Product() {
  const Node* first = SignedFactor();
  if (first == nullptr) return nullptr;
  Nodes factors = {first};
  for (;;) {
    const Token& token = Peek();
    const Node* next = nullptr;
    if (token.IsPunct('*')) {
      Advance();
      next = SignedFactor();
    } else if (token.IsPunct('/')) {
      Advance();
      const Node* below = Denominator(factors.back());
      if (below == nullptr) return nullptr;
      next = Full() ? OverBudget() : arena_.Power(below, arena_.Number(-1));
    } else if (token.IsCommand("mod") || token.IsCommand("bmod")) {
      Advance();
      const Node* modulus = SignedFactor();
      if (modulus == nullptr) return nullptr;
      const Node* value = factors.size() == 1 ? first : Make(Kind::kProduct, std::move(factors));
      if (value == nullptr) return nullptr;
      next = Make(Kind::kUnevaluated, {value, modulus}, "mod");
      factors.clear();
    } else if (StartsFactor(token)) {
      // Two numbers side by side are no product.
      if (token.type == TokenType::kNumber && factors.back()->kind == Kind::kNumber &&
          factors.back()->alone)
        return Fail();
      next = Factor();
    } else {
      break;
    }
    if (next == nullptr) return nullptr;
    factors.push_back(next);
  }
  if (factors.size() == 1) return factors[0];
  for (const Node*& factor : factors) factor = Ungrouped(factor);
  return Make(Kind::kProduct, std::move(factors));
}

// 1/2x is one half of x; a/bc is a over bc.
const Node* ExpressionParser::Denominator(const Node* numerator) {
  const Node* first = SignedFactor();
  if (first == nullptr || (first->kind == Kind::kNumber && numerator->kind == Kind::kNumber))
    return first;
  Nodes factors = {first};
  while (StartsFactor(Peek()) && Peek().type != TokenType::kNumber && !Peek().IsPunct('(')) {
    const Node* next = Factor();
    if (next == nullptr) return nullptr;
    factors.push_back(next);
  }
  return factors.size() == 1 ? first : Make(Kind::kProduct, std::move(factors));
}

const Node* ExpressionParser::SignedFactor() {
  bool negative = false;
  while (Peek().IsPunct('-') || Peek().IsPunct('+')) {
    negative ^= Peek().symbol == '-';
    Advance();
  }
  const Node* factor = Factor();
  if (factor == nullptr || !negative) return factor;
  return Full() ? OverBudget() : arena_.Negate(factor);
}

const Node* ExpressionParser::Factor() {
  Deeper deeper(this);
  if (deeper.too_deep()) return OverBudget();
  const Node* atom = Atom();
  return atom == nullptr ? nullptr : Postfix(atom);
}

bool ExpressionParser::IsDegreeMark() const {
  if (Peek().IsCommand("circ")) return true;
  if (!Peek().IsPunct('^')) return false;
  return Peek(1).IsCommand("circ") ||
         (Peek(1).IsPunct('{') && Peek(2).IsCommand("circ") && Peek(3).IsPunct('}'));
}

void ExpressionParser::EatDegreeMark() {
  EatPunct('^');
  const bool braces = EatPunct('{');
  Advance();
  if (braces) Advance();
}

const Node* ExpressionParser::Postfix(const Node* base) {
  while (base != nullptr) {
    if (IsDegreeMark()) {
      EatDegreeMark();
      const Token& scale = Peek();
      if ((scale.type == TokenType::kWord || scale.type == TokenType::kText) &&
          (scale.text == "C" || scale.text == "F")) {
        base = Make(Kind::kQuantity, {base}, scale.text);
        Advance();
      } else {
        base = Make(Kind::kDegree, {base});
      }
    } else if (EatPunct('^')) {
      const Node* exponent = Exponent();
      if (exponent == nullptr) return nullptr;
      base = Make(Kind::kPower, {Ungrouped(base), exponent});
    } else if (EatPunct('!')) {
      base = Call(Function::kFactorial, {base});
    } else if (EatPunct('%')) {
      base = Make(Kind::kPercent, {base});
    } else {
      break;
    }
  }
  return base;
}

const Node* ExpressionParser::Exponent() {
  Deeper deeper(this);
  if (deeper.too_deep()) return OverBudget();
  if (EatPunct('-')) {
    const Node* exponent = Exponent();
    return exponent == nullptr ? nullptr : Full() ? OverBudget() : arena_.Negate(exponent);
  }
  EatPunct('+');
  // x^2_3: no numeral to base 3.
  const Node* exponent =
      Peek().type == TokenType::kNumber && Peek(1).IsPunct('_') ? PlainNumber() : Atom();
  if (exponent != nullptr && Peek().IsPunct('^') && !IsDegreeMark()) {
    Advance();
    const Node* above = Exponent();
    return above == nullptr ? nullptr : Make(Kind::kPower, {exponent, above});
  }
  return exponent;
}

const Node* ExpressionParser::Atom() {
  const Token& token = Peek();
  switch (token.type) {
    case TokenType::kNumber:
      return NumberAtom();
    case TokenType::kWord:
      return WordAtom();
    case TokenType::kCommand:
      return CommandAtom();
    case TokenType::kText: {
      // A name that is given a value: \text{Area} = 10.
      if (Peek(1).Is(TokenType::kRelation, '=') || Peek(1).Is(TokenType::kRelation, '~')) {
        std::string name = token.text;
        Advance();
        return Make(Kind::kSymbol, {}, name);
      }
      return Fail();
    }
    case TokenType::kPunct:
      break;
    default:
      return Fail();
  }
  switch (token.symbol) {
    case '(':
    case '[':
      return Bracketed(token.symbol);
    case '{':
      return BraceGroup();
    case '|':
      return bars_ < kMaxDepth ? Bars() : OverBudget();
    case '$': {  // money
      Advance();
      return Factor();
    }
    default:
      return Fail();
  }
}

bool ExpressionParser::IsMoney(size_t start) const {
  return tokens_[start].IsPunct('$') ||
         (tokens_[start].IsPunct('-') && start + 1 < tokens_.size() &&
          tokens_[start + 1].IsPunct('$'));
}

}  // namespace ponder::verifier::math
