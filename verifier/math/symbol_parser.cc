// Variables with their primes and subscripts, and unknown functions.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "verifier/math/expression_parser.h"

namespace ponder::verifier::math {
namespace {

// k+n for n+k: the terms of a subscript in one order.
std::string OrderedTerms(const std::string& subscript) {
  if (subscript.find('+') == std::string::npos) return subscript;
  std::vector<std::string> terms;
  for (const char c : subscript) {
    if (!absl::ascii_isalnum(c) && c != '+' && c != '-') return subscript;
    if (terms.empty() || c == '+' || c == '-') terms.emplace_back(c == '-' ? "-" : "+");
    if (absl::ascii_isalnum(c)) terms.back().push_back(c);
  }
  std::sort(terms.begin(), terms.end());
  return absl::StrJoin(terms, "");
}

}  // namespace

const Node* ExpressionParser::WordAtom() {
  std::string name = Peek().text;
  Advance();
  if (!Peek().IsPunct('_')) {
    if (name == "e") return Make(Kind::kE, {});
    if (name == "i") return Make(Kind::kI, {});
  }
  if (name == "C" && IsCombination()) {
    Advance();
    const Node* n = nullptr;
    if (Peek().IsPunct('{')) {
      n = BraceGroup();
    } else if (Peek().type == TokenType::kNumber) {
      n = PlainNumber();
    } else if (Peek().type == TokenType::kWord) {
      n = Make(Kind::kSymbol, {}, Peek().text);
      Advance();
    }
    if (n == nullptr || !EatPunct('^')) return Fail();
    const Node* k = Exponent();
    return k == nullptr ? nullptr : Choose(n, k);
  }
  if (name == "C" && Peek().IsPunct('(')) {
    const Node* pair = Bracketed('(');
    if (pair == nullptr) return nullptr;
    if (pair->kind == Kind::kTuple && pair->children.size() == 2)
      return Choose(pair->children[0], pair->children[1]);
    return IsScalar(*pair) ? Make(Kind::kProduct, {Make(Kind::kSymbol, {}, name), pair}) : Fail();
  }
  return SymbolWithMarks(std::move(name));
}

// Whether "_n^" or "_{...}^" comes next.
bool ExpressionParser::IsCombination() const {
  if (!Peek().IsPunct('_')) return false;
  size_t i = at_ + 1;
  int braces = 0;
  for (; i < tokens_.size(); ++i) {
    braces += tokens_[i].IsPunct('{');
    braces -= tokens_[i].IsPunct('}');
    if (braces <= 0) break;
  }
  return i + 1 < tokens_.size() && tokens_[i + 1].IsPunct('^');
}

// Primes and subscripts; then, for the letters of functions, arguments.
const Node* ExpressionParser::SymbolWithMarks(std::string name) {
  const bool function =
      name == "f" || name == "g" || name == "h" || name == "F" || name == "G" || name == "H";
  const Node* power = nullptr;
  std::string primes;  // after the subscripts, wherever they stand
  bool inverse = false;
  for (;;) {
    if (EatPunct('\'')) {
      primes += "'";
    } else if (Peek().IsPunct('^') && (Peek(1).IsCommand("prime") ||
                                       (Peek(1).IsPunct('{') && Peek(2).IsCommand("prime")))) {
      Advance();
      primes.append(RawGroup().size() / 5, '\'');
    } else if (Peek().IsPunct('_')) {
      Advance();
      const std::string subscript = RawGroup();
      if (subscript.empty()) return Fail();
      absl::StrAppend(&name, "_", OrderedTerms(subscript));
    } else if (function && Peek().IsPunct('^') && Peek(1).IsPunct('{') && Peek(2).IsPunct('-') &&
               Peek(3).text == "1" && Peek(4).IsPunct('}') && Peek(5).IsPunct('(')) {
      for (int i = 0; i < 5; ++i) Advance();
      inverse = true;
    } else if (power == nullptr && Peek().IsPunct('^') && !IsDegreeMark()) {
      // x^2_3: the power counts after the subscript.
      Advance();
      power = Exponent();
      if (power == nullptr) return nullptr;
    } else {
      break;
    }
  }
  absl::StrAppend(&name, primes, inverse ? "^-1" : "");
  const bool applied =
      function && (Peek().IsPunct('(') || (Peek().IsPunct('{') && Peek(1).IsPunct('(')));
  const Node* symbol = applied ? Applied(name) : Make(Kind::kSymbol, {}, name);
  return symbol == nullptr || power == nullptr ? symbol : Make(Kind::kPower, {symbol, power});
}

// f(x), unless x has f in it: then f times x.
const Node* ExpressionParser::Applied(const std::string& name) {
  const Node* argument = Peek().IsPunct('{') ? BraceGroup() : Bracketed('(');
  if (argument == nullptr) return nullptr;
  std::vector<const Node*> todo = {argument};
  while (!todo.empty()) {
    const Node* node = todo.back();
    todo.pop_back();
    if (node->kind == Kind::kSymbol && node->name == name) {
      return IsScalar(*argument) ? Make(Kind::kProduct, {Make(Kind::kSymbol, {}, name), argument})
                                 : Fail();
    }
    todo.insert(todo.end(), node->children.begin(), node->children.end());
  }
  return Make(Kind::kApply, {argument}, name);
}

}  // namespace ponder::verifier::math
