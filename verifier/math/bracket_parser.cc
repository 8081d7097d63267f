// What stands in brackets: groups, tuples, intervals, sets, absolute values, matrices.
#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "verifier/math/expression_parser.h"

namespace ponder::verifier::math {

// (a), [a]: just a. (a, b), [a, b): a tuple, which may turn out to be an interval.
const Node* ExpressionParser::Bracketed(char open) {
  Advance();
  const int bars = std::exchange(bars_, 0);
  const Node* inner = List(/*plain=*/false);
  bars_ = bars;
  if (inner == nullptr) return nullptr;
  if (!Peek().IsPunct(')') && !Peek().IsPunct(']')) return Fail();
  const char close = Peek().symbol;
  Advance();
  if (inner->kind != Kind::kList) {
    return open == '(' && close == ')' ? inner : open == '[' && close == ']' ? inner : Fail();
  }
  // (1, 1; 2, 2) has four entries.
  Nodes entries;
  for (const Node* entry : inner->children) {
    if (entry->kind == Kind::kList) {
      entries.insert(entries.end(), entry->children.begin(), entry->children.end());
    } else {
      entries.push_back(entry);
    }
  }
  return Make(Kind::kTuple, std::move(entries), std::string({open, close}));
}

// {x}: just x. {a, b}: a set whose backslashes were lost. {a \over b}, {n \choose k}.
const Node* ExpressionParser::BraceGroup() {
  Advance();
  const int bars = std::exchange(bars_, 0);
  const Node* inner = List(/*plain=*/false);
  bars_ = bars;
  if (inner == nullptr) return nullptr;
  if (Peek().IsCommand("over") || Peek().IsCommand("choose")) {
    const bool over = Peek().text == "over";
    Advance();
    const Node* below = Sum();
    if (below == nullptr || Full()) return below == nullptr ? nullptr : OverBudget();
    inner = over ? arena_.Quotient(inner, below) : Choose(inner, below);
  }
  if (!EatPunct('}')) return Fail();
  return inner->kind == Kind::kList ? Make(Kind::kSet, inner->children) : inner;
}

// "x |", "x :", "x \in \mathbb{R} |": the conditions of a set follow.
bool ExpressionParser::EatSetBuilder() {
  if (Peek().type != TokenType::kWord) return false;
  size_t ahead = 1;
  if (Peek(1).Is(TokenType::kRelation, 'i') && Peek(2).IsCommand("mathbb"))
    ahead = Peek(3).IsPunct('{') ? 6 : 4;
  if (!Peek(ahead).IsPunct('|') && !Peek(ahead).IsPunct(':')) return false;
  for (size_t i = 0; i <= ahead; ++i) Advance();
  return true;
}

const Node* ExpressionParser::SetBraces() {
  Deeper deeper(this);
  if (deeper.too_deep()) return OverBudget();
  Advance();
  if (Peek().IsCommand("}")) {
    Advance();
    return Make(Kind::kNamedSet, {}, "");
  }
  const bool builder = EatSetBuilder();
  const int bars = std::exchange(bars_, 0);
  const Node* inner = List(/*plain=*/false);
  bars_ = bars;
  if (inner == nullptr) return nullptr;
  if (!Peek().IsCommand("}")) return Fail();
  Advance();
  if (builder) return inner;
  if (inner->kind != Kind::kList) return Make(Kind::kSet, {inner});
  return Make(Kind::kSet, inner->children);
}

const Node* ExpressionParser::Bars() {
  Deeper deeper(this);
  if (deeper.too_deep()) return OverBudget();
  Advance();
  // After an opening bar, another one opens as well: ||x||.
  const Node* inner;
  if (Peek().IsPunct('|')) {
    inner = Bars();
    if (inner == nullptr) return nullptr;
  } else {
    ++bars_;
    inner = Sum();
    --bars_;
    if (inner == nullptr) return nullptr;
  }
  if (!EatPunct('|')) return Fail();
  return Call(Function::kAbs, {inner});
}

const Node* ExpressionParser::Rounded(Function function, absl::string_view close) {
  const int bars = std::exchange(bars_, 0);
  const Node* inner = Sum();
  bars_ = bars;
  if (inner == nullptr) return nullptr;
  if (!Peek().IsCommand(close)) return Fail();
  Advance();
  return Call(function, {inner});
}

const Node* ExpressionParser::Matrix(const std::string& environment) {
  static constexpr absl::string_view kMatrices[] = {"pmatrix", "bmatrix", "matrix",
                                                    "array",   "Bmatrix", "smallmatrix"};
  if (std::find(std::begin(kMatrices), std::end(kMatrices), environment) == std::end(kMatrices))
    return Fail();
  Deeper deeper(this);
  if (deeper.too_deep()) return OverBudget();
  const int bars = std::exchange(bars_, 0);
  Node matrix;
  matrix.kind = Kind::kMatrix;
  const std::string end = "end:" + environment;
  size_t columns = 0, in_row = 0;
  for (;;) {
    while (EatPunct('\n')) {
    }
    if (Peek().IsCommand(end)) break;
    const Node* cell = Relation();
    if (cell == nullptr) return nullptr;
    matrix.children.push_back(cell);
    ++in_row;
    if (EatPunct('&')) continue;
    if (!Peek().IsPunct('\n') && !Peek().IsCommand(end)) return Fail();
    ++matrix.rows;
    if (columns == 0) columns = in_row;
    if (in_row != columns) return Fail();
    in_row = 0;
  }
  if (in_row != 0 || matrix.children.empty()) return Fail();
  Advance();
  bars_ = bars;
  return Keep(std::move(matrix));
}

}  // namespace ponder::verifier::math
