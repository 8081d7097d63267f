// LaTeX commands and named functions: fractions, roots, sines, sums.
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "verifier/math/expression_parser.h"
#include "verifier/math/names.h"

namespace ponder::verifier::math {

const Node* ExpressionParser::CommandAtom() {
  const std::string name = Peek().text;
  if (name == "{") return SetBraces();
  Advance();
  if (name == "pi") return Make(Kind::kPi, {});
  if (name == "infty") return Make(Kind::kInfinity, {});
  if (name == "emptyset") return Make(Kind::kNamedSet, {}, "");
  if (name == "frac") return Fraction();
  if (name == "sqrt" || name == "cbrt") {
    if (name == "sqrt") return RootAtom();
    const Node* radicand = Argument();
    return radicand == nullptr ? nullptr : Make(Kind::kRoot, {radicand, arena_.Number(3)});
  }
  if (name == "binom") {
    if (Peek().IsPunct('(')) {
      const Node* pair = Bracketed('(');
      if (pair == nullptr || pair->kind != Kind::kTuple || pair->children.size() != 2)
        return Fail();
      return Choose(pair->children[0], pair->children[1]);
    }
    const Node* n = Argument();
    const Node* k = n == nullptr ? nullptr : Argument();
    return k == nullptr ? nullptr : Choose(n, k);
  }
  if (name == "mathbb" || name == "mathds") {
    const std::string set = RawGroup();
    if (set.size() != 1 || !absl::StrContains("RZQNC", set)) return Fail();
    return Make(Kind::kNamedSet, {}, set);
  }
  if (name == "lfloor") return Rounded(Function::kFloor, "rfloor");
  if (name == "lceil") return Rounded(Function::kCeil, "rceil");
  if (name == "langle") {
    const Node* list = List(/*plain=*/false);
    if (list == nullptr || !Peek().IsCommand("rangle")) return Fail();
    Advance();
    return list->kind == Kind::kList ? Make(Kind::kTuple, list->children, "()") : list;
  }
  if (IsAccent(name)) {
    const std::string letter = RawGroup();
    // The unit vectors, which books write in bold: as bare letters are.
    if (name == "hat" && (letter == "imath" || letter == "i")) return Make(Kind::kI, {});
    if (name == "hat" && (letter == "jmath" || letter == "j" || letter == "k"))
      return SymbolWithMarks(letter.substr(0, 1));
    return SymbolWithMarks(absl::StrCat(name == "overline" ? "bar" : name, "(", letter, ")"));
  }
  if (name == "angle" || name == "triangle") {
    std::string points = name + " ";
    while (Peek().type == TokenType::kWord) {
      points += Peek().text;
      Advance();
    }
    return Make(Kind::kSymbol, {}, points);
  }
  if (name == "ldots") return Make(Kind::kSymbol, {}, "...");
  if (absl::StartsWith(name, "begin:")) return Matrix(name.substr(6));
  if (IsUnevaluatedOperator(name) || IsUnevaluatedFunction(name)) return Unevaluated(name);
  if (const std::optional<Function> function = FunctionNamed(name))
    return FunctionCall(*function, name == "lg");
  if (IsGreek(name)) return SymbolWithMarks(name);
  return Fail();
}

const Node* ExpressionParser::Fraction() {
  if (Peek().IsPunct('(')) return Fail();
  const Node* above = Argument();
  const Node* below = above == nullptr ? nullptr : Argument();
  if (below == nullptr) return nullptr;
  return Full() ? OverBudget() : arena_.Quotient(above, below);
}

const Node* ExpressionParser::Argument() {
  if (Peek().IsPunct('{')) {
    const Node* group = BraceGroup();
    return group == nullptr || IsScalar(*group) ? group : Fail();
  }
  Token& token = tokens_[at_];
  if (token.type == TokenType::kNumber && !token.decimal && token.text.size() > 1) {
    // \frac12: one digit each.
    const Node* digit = Full() ? OverBudget() : nullptr;
    if (digit == nullptr && failure_ == ParseFailure::kOverBudget) return nullptr;
    Node node;
    node.number = Rational(token.text[0] - '0');
    node.alone = true;
    token.text.erase(0, 1);
    token.space_before = false;
    return Keep(std::move(node));
  }
  return token.type == TokenType::kNumber ? PlainNumber() : Atom();
}

const Node* ExpressionParser::RootAtom() {
  const Node* degree = nullptr;
  if (EatPunct('[')) {
    degree = Sum();
    if (degree == nullptr) return nullptr;
    if (!EatPunct(']')) return Fail();
  }
  const Node* radicand;
  const Token& token = Peek();
  if (token.type == TokenType::kNumber && token.space_before) {
    radicand = NumberAtom();
  } else if (token.IsPunct('(') || token.IsPunct('-')) {
    radicand = token.IsPunct('(') ? Bracketed('(') : Fail();
    if (radicand != nullptr && !IsScalar(*radicand)) return Fail();
  } else {
    radicand = Argument();
  }
  if (radicand == nullptr || Full()) return radicand == nullptr ? nullptr : OverBudget();
  return Make(Kind::kRoot, {radicand, degree != nullptr ? degree : arena_.Number(2)});
}

const Node* ExpressionParser::Choose(const Node* n, const Node* k) {
  return Call(Function::kBinomial, {n, k});
}

const Node* ExpressionParser::FunctionCall(Function function, bool common_log) {
  Deeper deeper(this);
  if (deeper.too_deep()) return OverBudget();
  const Node* base = common_log ? arena_.Number(10) : nullptr;
  const Node* power = nullptr;
  // log10(x), log2(x)
  if (function == Function::kLog && Peek().type == TokenType::kNumber && !Peek().space_before &&
      (Peek().text == "10" || Peek().text == "2") && !Peek().decimal && Peek(1).IsPunct('(')) {
    base = arena_.Number(Peek().text == "10" ? 10 : 2);
    Advance();
  }
  for (;;) {
    if (function == Function::kLog && Peek().IsPunct('_')) {
      Advance();
      base = Argument();
      if (base == nullptr) return nullptr;
    } else if (power == nullptr && Peek().IsPunct('^') && !IsDegreeMark()) {
      Advance();
      power = Exponent();
      if (power == nullptr) return nullptr;
    } else {
      break;
    }
  }
  if (power != nullptr && power->kind == Kind::kNumber && power->number == Rational(-1)) {
    if (const std::optional<Function> inverse = InverseOf(function)) {
      function = *inverse;
      power = nullptr;
    }
  }
  Nodes arguments;
  if (FunctionArgument(&arguments) == nullptr) return nullptr;
  const bool many = function == Function::kMin || function == Function::kMax;
  if (!many && arguments.size() != 1) return Fail();
  for (const Node* argument : arguments) {
    if (!IsScalar(*argument)) return Fail();
  }
  if (base != nullptr) {
    function = Function::kLogBase;
    arguments.push_back(base);
  }
  const Node* call = Call(function, std::move(arguments));
  return call == nullptr || power == nullptr ? call : Make(Kind::kPower, {call, power});
}

// What a function is applied to: brackets, or all factors up to the next sign or function. Null
// after a failure.
const Node* ExpressionParser::FunctionArgument(Nodes* arguments) {
  const Token& token = Peek();
  if (token.IsPunct('(') || token.IsPunct('[') || token.IsPunct('{') || token.IsCommand("{")) {
    const Node* inner = token.IsPunct('{')     ? BraceGroup()
                        : token.IsCommand("{") ? SetBraces()
                                               : Bracketed(token.symbol);
    if (inner == nullptr) return nullptr;
    if (inner->kind == Kind::kTuple || inner->kind == Kind::kSet) {
      *arguments = inner->children;
    } else {
      arguments->push_back(inner);
    }
    return inner;
  }
  const Node* first = SignedFactor();
  if (first == nullptr) return nullptr;
  Nodes factors = {first};
  while (StartsFactor(Peek()) && !Peek().IsPunct('(') && !Peek().IsPunct('[') &&
         !(Peek().type == TokenType::kCommand &&
           (FunctionNamed(Peek().text) || absl::StartsWith(Peek().text, "begin:"))) &&
         !(Peek().type == TokenType::kNumber && factors.back()->kind == Kind::kNumber)) {
    const Node* next = Factor();
    if (next == nullptr) return nullptr;
    factors.push_back(next);
  }
  arguments->push_back(factors.size() == 1 ? first : Make(Kind::kProduct, std::move(factors)));
  return arguments->back();
}

// A sum, limit or the like: its bounds as text, its body as a tree.
const Node* ExpressionParser::Unevaluated(const std::string& name) {
  Deeper deeper(this);
  if (deeper.too_deep()) return OverBudget();
  std::string below, above;
  while (Peek().IsPunct('_') || (Peek().IsPunct('^') && !IsDegreeMark())) {
    const bool low = Peek().symbol == '_';
    Advance();
    (low ? below : above) = RawGroup();
  }
  Nodes body;
  if (StartsFactor(Peek()) || Peek().IsPunct('-')) {
    const Node* inner =
        IsUnevaluatedFunction(name) && Peek().IsPunct('(') ? Bracketed('(') : Product();
    if (inner == nullptr) return nullptr;
    body.push_back(inner);
  }
  return Make(Kind::kUnevaluated, std::move(body), absl::StrCat(name, "_", below, "^", above));
}

}  // namespace ponder::verifier::math
