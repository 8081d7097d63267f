// TokenStream: a template's words one after another, and the expressions that they make. The first
// error stays; after it, everything reads as if the template had ended.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "data/jinja/lexer.h"
#include "data/jinja/syntax.h"

namespace ponder::data::jinja {

class TokenStream {
 public:
  // `error` outlives it.
  TokenStream(std::vector<Token> tokens, SyntaxError* error)
      : tokens_(std::move(tokens)), error_(*error) {}

  bool ok() const { return error_.message.empty(); }
  // Always false.
  bool Fail(std::string message);

  const Token& Peek() const { return tokens_[position_]; }
  const Token& PeekAfter() const {
    return tokens_[position_ + 1 < tokens_.size() ? position_ + 1 : position_];
  }
  const Token& Next();
  // The word `text`, as a name or an operator; a string literal is never that.
  bool IsNext(absl::string_view text) const;
  bool Skip(absl::string_view text);
  void Expect(absl::string_view text);
  std::string Name();
  // {{ or {%; returns the tag's source.
  std::string OpenTag();
  bool CloseTag();
  NodePtr MakeNode(Node::Kind kind) const;

  // Expressions; never null.
  NodePtr Expression(bool with_condition = true);
  NodePtr Tuple(bool with_condition = true);  // a, b, ... or one expression
  NodePtr Target();                           // of set and for
  NodePtr Filter(NodePtr operand);            // name or name(...), behind a "|"
  // Whether `name` stands among the words from `from` up to here.
  bool Uses(absl::string_view name, size_t from) const;
  size_t position() const { return position_; }

 private:
  NodePtr With(Node::Kind kind, const std::string& text, NodePtr left, NodePtr right = nullptr);
  NodePtr Or();
  NodePtr And();
  NodePtr Not();
  NodePtr Compare();
  NodePtr Sum();
  NodePtr Concat();
  NodePtr Product();
  NodePtr Power();
  NodePtr Unary(bool with_filter = true);
  NodePtr Primary();
  NodePtr Postfix(NodePtr node);
  NodePtr Subscript(NodePtr object);
  NodePtr FiltersAndTests(NodePtr node);
  NodePtr TargetItem();
  NodePtr Test(NodePtr node);
  void CallArguments(Node* node);
  NodePtr Items(Node::Kind kind, const char* close);
  NodePtr DictItems();

  const std::vector<Token> tokens_;
  size_t position_ = 0;
  int depth_ = 0;
  std::string tag_;  // the source of the tag being read
  SyntaxError& error_;
};

}  // namespace ponder::data::jinja
