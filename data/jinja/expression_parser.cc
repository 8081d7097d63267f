// The expressions of Jinja, loosest operators first: if-else, or, and, not, comparisons, + -, ~,
// * / // %, **, unary, then what follows a primary: . [] () | is.
#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "data/jinja/token_stream.h"

namespace ponder::data::jinja {
namespace {

constexpr int kMaxExpressionDepth = 100;  // of expressions in expressions
using TokenKind = Token::Kind;

}  // namespace

bool TokenStream::Fail(std::string message) {
  if (ok()) error_ = {std::move(message), Peek().line, tag_};
  position_ = tokens_.size() - 1;
  return false;
}

const Token& TokenStream::Next() {
  const Token& token = Peek();
  if (position_ + 1 < tokens_.size()) ++position_;
  return token;
}

bool TokenStream::IsNext(absl::string_view text) const {
  return (Peek().kind == TokenKind::kName || Peek().kind == TokenKind::kOperator) &&
         Peek().text == text;
}

bool TokenStream::Skip(absl::string_view text) {
  if (!IsNext(text)) return false;
  Next();
  return true;
}

void TokenStream::Expect(absl::string_view text) {
  if (!Skip(text)) Fail(absl::StrCat("expected '", text, "', got '", Peek().text, "'"));
}

std::string TokenStream::Name() {
  if (Peek().kind == TokenKind::kName) return Next().text;
  Fail(absl::StrCat("expected a name, got '", Peek().text, "'"));
  return "";
}

std::string TokenStream::OpenTag() {
  tag_ = Next().source;
  return tag_;
}

bool TokenStream::CloseTag() {
  if (!ok()) return false;
  if (Peek().kind != TokenKind::kEnd)
    return Fail(absl::StrCat("expected the end of the tag, got '", Peek().text, "'"));
  Next();
  return true;
}

NodePtr TokenStream::MakeNode(Node::Kind kind) const {
  auto node = std::make_unique<Node>();
  node->kind = kind;
  node->line = Peek().line;
  return node;
}

NodePtr TokenStream::With(Node::Kind kind, const std::string& text, NodePtr left, NodePtr right) {
  NodePtr node = MakeNode(kind);
  node->line = left->line;
  node->text = text;
  node->parts.push_back(std::move(left));
  if (right != nullptr) node->parts.push_back(std::move(right));
  // A chain a + b + c ... is as deep as it is long.
  for (const NodePtr& part : node->parts) node->depth = std::max(node->depth, part->depth + 1);
  if (node->depth > kMaxExpressionDepth) Fail("the expression is too long");
  return node;
}

NodePtr TokenStream::Tuple(bool with_condition) {
  NodePtr first = Expression(with_condition);
  if (!IsNext(",")) return first;
  NodePtr tuple = MakeNode(Node::Kind::kTuple);
  tuple->parts.push_back(std::move(first));
  while (ok() && Skip(",")) {
    if (Peek().kind == TokenKind::kEnd || IsNext(")") || IsNext("if")) break;
    tuple->parts.push_back(Expression(with_condition));
  }
  return tuple;
}

NodePtr TokenStream::Target() {
  NodePtr first = TargetItem();
  if (!IsNext(",")) return first;
  NodePtr tuple = MakeNode(Node::Kind::kTuple);
  tuple->parts.push_back(std::move(first));
  while (ok() && Skip(",")) {
    if (IsNext("=") || IsNext(")")) break;
    tuple->parts.push_back(TargetItem());
  }
  return tuple;
}

NodePtr TokenStream::TargetItem() {
  if (IsNext("(")) {
    if (++depth_ > kMaxExpressionDepth) Fail("targets nest too deep");
    Skip("(");
    NodePtr inner = ok() ? Target() : MakeNode(Node::Kind::kTuple);
    Expect(")");
    --depth_;
    return inner;
  }
  NodePtr name = MakeNode(Node::Kind::kName);
  name->text = Name();
  if (!Skip(".")) return name;
  const std::string attribute = Name();
  return With(Node::Kind::kAttribute, attribute, std::move(name));
}

NodePtr TokenStream::Expression(bool with_condition) {
  if (++depth_ > kMaxExpressionDepth) Fail("expressions nest too deep");
  NodePtr node = Or();
  while (ok() && with_condition && Skip("if")) {
    NodePtr condition = Or();
    node = With(Node::Kind::kCondition, "", std::move(node), std::move(condition));
    node->parts.push_back(Skip("else") ? Expression() : nullptr);
  }
  --depth_;
  return node;
}

NodePtr TokenStream::Or() {
  NodePtr left = And();
  while (Skip("or")) left = With(Node::Kind::kOr, "or", std::move(left), And());
  return left;
}

NodePtr TokenStream::And() {
  NodePtr left = Not();
  while (Skip("and")) left = With(Node::Kind::kAnd, "and", std::move(left), Not());
  return left;
}

NodePtr TokenStream::Not() {
  if (!IsNext("not")) return Compare();
  if (++depth_ > kMaxExpressionDepth) Fail("expressions nest too deep");
  Skip("not");
  NodePtr node = With(Node::Kind::kUnary, "not", Not());
  --depth_;
  return node;
}

NodePtr TokenStream::Compare() {
  NodePtr left = Sum();
  NodePtr node;
  while (ok()) {
    std::string op;
    for (const char* known : {"==", "!=", "<=", ">=", "<", ">", "in"})
      if (op.empty() && Skip(known)) op = known;
    if (op.empty() && IsNext("not") && PeekAfter().kind == TokenKind::kName &&
        PeekAfter().text == "in") {
      Next();
      Next();
      op = "not in";
    }
    if (op.empty()) break;
    if (node == nullptr) node = With(Node::Kind::kCompare, "", std::move(left));
    node->names.push_back(op);
    node->parts.push_back(Sum());
  }
  return node == nullptr ? std::move(left) : std::move(node);
}

NodePtr TokenStream::Sum() {
  NodePtr left = Concat();
  while (IsNext("+") || IsNext("-")) {
    const std::string op = Next().text;
    left = With(Node::Kind::kBinary, op, std::move(left), Concat());
  }
  return left;
}

NodePtr TokenStream::Concat() {
  NodePtr left = Product();
  while (Skip("~")) left = With(Node::Kind::kBinary, "~", std::move(left), Product());
  return left;
}

NodePtr TokenStream::Product() {
  NodePtr left = Power();
  while (IsNext("*") || IsNext("/") || IsNext("//") || IsNext("%")) {
    const std::string op = Next().text;
    left = With(Node::Kind::kBinary, op, std::move(left), Power());
  }
  return left;
}

NodePtr TokenStream::Power() {
  NodePtr left = Unary();
  while (Skip("**")) left = With(Node::Kind::kBinary, "**", std::move(left), Unary());
  return left;
}

NodePtr TokenStream::Unary(bool with_filter) {
  NodePtr node;
  if (IsNext("-") || IsNext("+")) {
    if (++depth_ > kMaxExpressionDepth) Fail("expressions nest too deep");
    const std::string op = Next().text;
    node = With(Node::Kind::kUnary, op, Unary(false));
    --depth_;
  } else {
    node = Primary();
  }
  node = Postfix(std::move(node));
  return with_filter ? FiltersAndTests(std::move(node)) : std::move(node);
}

NodePtr TokenStream::Primary() {
  NodePtr node = MakeNode(Node::Kind::kConstant);
  const Token& token = Peek();
  switch (token.kind) {
    case TokenKind::kName: {
      const std::string name = Next().text;
      if (name == "true" || name == "True") {
        node->constant = Value::Bool(true);
      } else if (name == "false" || name == "False") {
        node->constant = Value::Bool(false);
      } else if (name == "none" || name == "None") {
        node->constant = Value::None();
      } else {
        node->kind = Node::Kind::kName;
        node->text = name;
      }
      return node;
    }
    case TokenKind::kString: {
      std::string text;
      while (Peek().kind == TokenKind::kString) text += Next().text;
      node->constant = Value::String(std::move(text));
      return node;
    }
    case TokenKind::kInt: {
      int64_t value = 0;
      if (!absl::SimpleAtoi(Next().text, &value)) Fail("the number is too large");
      node->constant = Value::Int(value);
      return node;
    }
    case TokenKind::kFloat: {
      double value = 0;
      if (!absl::SimpleAtod(Next().text, &value)) Fail("this is no number");
      node->constant = Value::Float(value);
      return node;
    }
    default:
      break;
  }
  if (Skip("(")) {
    if (Skip(")")) {
      node->kind = Node::Kind::kTuple;
      return node;
    }
    node = Tuple();
    Expect(")");
    return node;
  }
  if (Skip("[")) return Items(Node::Kind::kList, "]");
  if (Skip("{")) return DictItems();
  Fail(token.kind == TokenKind::kEof || token.kind == TokenKind::kEnd
           ? "expected an expression, got the end of the tag"
           : absl::StrCat("unexpected '", token.text, "'"));
  return node;
}

NodePtr TokenStream::Items(Node::Kind kind, const char* close) {
  NodePtr node = MakeNode(kind);
  while (ok() && !Skip(close)) {
    if (!node->parts.empty()) Expect(",");
    if (Skip(close)) break;
    node->parts.push_back(Expression());
  }
  return node;
}

NodePtr TokenStream::DictItems() {
  NodePtr node = MakeNode(Node::Kind::kDict);
  while (ok() && !Skip("}")) {
    if (!node->parts.empty()) Expect(",");
    if (Skip("}")) break;
    node->parts.push_back(Expression());
    Expect(":");
    node->parts.push_back(Expression());
  }
  return node;
}

NodePtr TokenStream::Postfix(NodePtr node) {
  while (ok()) {
    if (Skip(".")) {
      if (Peek().kind == TokenKind::kInt) {
        NodePtr index = Primary();
        node = With(Node::Kind::kItem, "", std::move(node), std::move(index));
      } else {
        const std::string name = Name();
        node = With(Node::Kind::kAttribute, name, std::move(node));
      }
    } else if (Skip("[")) {
      node = Subscript(std::move(node));
    } else if (IsNext("(")) {
      node = With(Node::Kind::kCall, "", std::move(node));
      CallArguments(node.get());
    } else {
      break;
    }
  }
  return node;
}

NodePtr TokenStream::Subscript(NodePtr object) {
  NodePtr first = IsNext(":") ? nullptr : Tuple();
  if (Skip("]")) return With(Node::Kind::kItem, "", std::move(object), std::move(first));
  NodePtr slice = With(Node::Kind::kSlice, "", std::move(object));
  slice->parts.push_back(std::move(first));
  for (int i = 0; i < 2; ++i) {
    const bool given = Skip(":") && !IsNext(":") && !IsNext("]");
    slice->parts.push_back(given ? Expression() : nullptr);
  }
  Expect("]");
  return slice;
}

// (a, b, *c, name=d, **e)
void TokenStream::CallArguments(Node* node) {
  Expect("(");
  bool first = true;
  while (ok() && !Skip(")")) {
    if (!first) Expect(",");
    first = false;
    if (Skip(")")) break;
    if (Peek().kind == TokenKind::kName && PeekAfter().kind == TokenKind::kOperator &&
        PeekAfter().text == "=") {
      node->names.push_back(Next().text);
      Next();
    } else if (IsNext("*") || IsNext("**")) {
      node->names.push_back(Next().text);
    } else if (!node->names.empty()) {
      Fail("a positional argument follows a named one");
    }
    node->parts.push_back(Expression());
  }
}

NodePtr TokenStream::FiltersAndTests(NodePtr node) {
  while (ok()) {
    if (Skip("|")) {
      node = Filter(std::move(node));
    } else if (Skip("is")) {
      node = Test(std::move(node));
    } else if (IsNext("(")) {
      node = With(Node::Kind::kCall, "", std::move(node));
      CallArguments(node.get());
    } else {
      break;
    }
  }
  return node;
}

NodePtr TokenStream::Filter(NodePtr operand) {
  const std::string name = Name();
  NodePtr node = With(Node::Kind::kFilter, name, std::move(operand));
  if (IsNext("(")) CallArguments(node.get());
  return node;
}

bool TokenStream::Uses(absl::string_view name, size_t from) const {
  return std::any_of(tokens_.begin() + static_cast<int64_t>(from),
                     tokens_.begin() + static_cast<int64_t>(position_), [&](const Token& token) {
                       return token.kind == TokenKind::kName && token.text == name;
                     });
}

NodePtr TokenStream::Test(NodePtr node) {
  const bool negated = Skip("not");
  const std::string name = Name();
  node = With(Node::Kind::kTest, name, std::move(node));
  const Token& next = Peek();
  const bool word = next.kind == TokenKind::kName && next.text != "else" && next.text != "or" &&
                    next.text != "and" && next.text != "is" && next.text != "if" &&
                    next.text != "not" && next.text != "in";
  if (IsNext("(")) {
    CallArguments(node.get());
  } else if (word || next.kind == TokenKind::kString || next.kind == TokenKind::kInt ||
             next.kind == TokenKind::kFloat || IsNext("[") || IsNext("{")) {
    NodePtr argument = Primary();
    node->parts.push_back(Postfix(std::move(argument)));
  }
  return negated ? With(Node::Kind::kUnary, "not", std::move(node)) : std::move(node);
}

}  // namespace ponder::data::jinja
