// The grammar of answers, by recursive descent. parser.cc has what is above a sum,
// expression_parser.cc what is below.
//
//   list     := relation ((',' | ';' | and | or) relation)*
//   relation := set (('=' | '<' | ...) set)*
//   set      := ratio ((union | intersection | without) ratio)*
//   ratio    := sum (':' sum)*, or a sum and its unit
//   sum      := ['+' | '-' | pm] product (('+' | '-' | pm) product)*
//   product  := factor (['*' | '/'] factor)*
//   factor   := atom ('^' exponent | '!' | '%' | degree)*
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "verifier/math/lexer.h"
#include "verifier/math/parser.h"
#include "verifier/math/tree.h"

namespace ponder::verifier::math {

// A machine for one text. Every method that returns a node returns null after a failure.
class ExpressionParser {
 public:
  ExpressionParser(std::vector<Token> tokens, Arena* arena)
      : tokens_(std::move(tokens)), arena_(*arena), first_node_(arena->size()) {}

  ParseResult Run();

 private:
  static constexpr int kMaxUnitWords = 6;

  // Above a sum.
  const Node* List(bool plain);
  const Node* Compound(const Node& large, const Node& small);
  const Node* DecimalComma(const Node& whole, const Node& fraction);
  char EatSeparator();
  bool AtListEnd() const;
  const Node* Relation();
  const Node* SetExpression();
  const Node* Ratio();
  const Node* Time(const Nodes& parts);
  const Node* WithUnit(const Node* value, size_t start);
  bool OpenedInUnit() const;
  const Node* Measured(const Node* value, absl::string_view unit);
  static bool IsNoun(absl::string_view words);

  // A sum and below.
  const Node* Sum();
  const Node* Product();
  static const Node* Ungrouped(const Node* operand);
  const Node* Denominator(const Node* numerator);
  const Node* SignedFactor();
  const Node* Factor();
  const Node* Postfix(const Node* base);
  const Node* Exponent();
  const Node* Atom();
  const Node* NumberAtom();
  const Node* PlainNumber();
  const Node* MixedNumber(const Node* whole);
  const Node* BaseNumeral(const Token& digits);
  const Node* WordAtom();
  const Node* CommandAtom();
  const Node* SymbolWithMarks(std::string name);
  bool IsCombination() const;
  const Node* Applied(const std::string& name);
  const Node* Bracketed(char open);
  const Node* BraceGroup();
  bool EatSetBuilder();
  const Node* SetBraces();
  const Node* Bars();
  const Node* Rounded(Function function, absl::string_view close);
  const Node* Fraction();
  const Node* Argument();  // of \frac: a group, or one digit
  const Node* RootAtom();
  const Node* Choose(const Node* n, const Node* k);
  const Node* FunctionCall(Function function, bool common_log);
  const Node* FunctionArgument(Nodes* arguments);
  const Node* Unevaluated(const std::string& name);
  const Node* Matrix(const std::string& environment);

  bool IsCloser(const Token& token) const;
  bool StartsFactor(const Token& token) const;
  bool IsDegreeMark() const;
  void EatDegreeMark();
  bool IsMoney(size_t start) const;
  // The tokens of a group or of one token, spelled without spaces; the empty string is a failure.
  std::string RawGroup();

  const Token& Peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  void Advance() {
    if (at_ + 1 < tokens_.size()) ++at_;
  }
  bool EatPunct(char c) {
    if (!Peek().IsPunct(c)) return false;
    Advance();
    return true;
  }
  const Node* Fail() {
    if (failure_ == ParseFailure::kNone) failure_ = ParseFailure::kSyntax;
    return nullptr;
  }
  const Node* OverBudget() {
    failure_ = ParseFailure::kOverBudget;
    return nullptr;
  }
  const Node* Make(Kind kind, Nodes children, absl::string_view name = "") {
    return Full() ? OverBudget() : arena_.Make(kind, std::move(children), name);
  }
  const Node* Call(Function function, Nodes children) {
    return Full() ? OverBudget() : arena_.Call(function, std::move(children));
  }
  bool Full() const { return arena_.size() - first_node_ >= kMaxNodes; }
  // Adds a node unless there are too many.
  const Node* Keep(Node node) { return Full() ? OverBudget() : arena_.Keep(std::move(node)); }

  // One level of recursion.
  class Deeper {
   public:
    explicit Deeper(ExpressionParser* parser) : parser_(*parser) { ++parser_.depth_; }
    ~Deeper() { --parser_.depth_; }
    bool too_deep() const { return parser_.depth_ > kMaxDepth; }

   private:
    ExpressionParser& parser_;
  };

  std::vector<Token> tokens_;
  Arena& arena_;
  const int first_node_;
  size_t at_ = 0;
  int depth_ = 0;
  int bars_ = 0;  // | that are open
  ParseFailure failure_ = ParseFailure::kNone;
};

}  // namespace ponder::verifier::math
