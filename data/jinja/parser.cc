// Parses the statements of a template; expressions are in expression_parser.cc.
#include <utility>

#include "absl/strings/str_cat.h"
#include "data/jinja/token_stream.h"

namespace ponder::data::jinja {
namespace {

constexpr int kMaxBlockDepth = 100;  // of blocks in blocks

class Parser {
 public:
  explicit Parser(TokenStream* in) : in_(*in) {}

  // Up to the tag that opens with one of `ends`, which is left to the caller; none: to the end.
  bool Body(const std::vector<absl::string_view>& ends, Nodes* nodes) {
    if (++depth_ > kMaxBlockDepth) return in_.Fail("blocks nest too deep");
    while (in_.ok()) {
      const Token& token = in_.Peek();
      if (token.kind == Token::Kind::kEof) {
        --depth_;
        return ends.empty() ||
               in_.Fail(absl::StrCat("unexpected end of template; looking for ", ends.back()));
      }
      NodePtr node = in_.MakeNode(Node::Kind::kText);
      if (token.kind == Token::Kind::kText) {
        node->text = in_.Next().text;
      } else if (token.kind == Token::Kind::kOutput) {
        node->kind = Node::Kind::kOutput;
        node->source = in_.OpenTag();
        node->parts.push_back(in_.Tuple());
        if (!in_.CloseTag()) return false;
      } else {
        for (const absl::string_view end : ends) {
          if (in_.PeekAfter().text == end) {
            --depth_;
            return true;
          }
        }
        node->source = in_.OpenTag();
        if (!Statement(in_.Name(), node.get())) return false;
      }
      nodes->push_back(std::move(node));
    }
    return false;
  }

 private:
  // Behind the tag's first word. Reads the whole statement, its end tag included.
  bool Statement(const std::string& tag, Node* node) {
    if (!in_.ok()) return false;
    if (tag == "if") return If(node);
    if (tag == "for") return For(node);
    if (tag == "set") return Set(node);
    if (tag == "macro") return Macro(node);
    if (tag == "call") return CallBlock(node);
    if (tag == "break" || tag == "continue") {
      node->kind = tag == "break" ? Node::Kind::kBreak : Node::Kind::kContinue;
      if (loops_ == 0) return in_.Fail(absl::StrCat("'", tag, "' outside of a loop"));
      return in_.CloseTag();
    }
    if (tag == "generation") {
      node->kind = Node::Kind::kScope;
      return in_.CloseTag() && Block("endgeneration", &node->body);
    }
    if (tag == "with") return With(node);
    if (tag == "filter") {
      node->kind = Node::Kind::kFilterBlock;
      return Filters(node) && Block("endfilter", &node->body);
    }
    return in_.Fail(absl::StrCat("Encountered unknown tag '", tag, "'."));
  }

  // A body and the end tag behind it.
  bool Block(const char* end, Nodes* nodes) {
    if (!Body({end}, nodes)) return false;
    in_.OpenTag();
    in_.Name();
    return in_.CloseTag();
  }

  bool If(Node* node) {
    node->kind = Node::Kind::kIf;
    node->parts.push_back(in_.Tuple());
    if (!in_.CloseTag() || !Body({"elif", "else", "endif"}, &node->body)) return false;
    std::string source = in_.OpenTag();
    const std::string tag = in_.Name();
    if (tag == "elif") {
      NodePtr nested = in_.MakeNode(Node::Kind::kIf);
      nested->source = std::move(source);
      // A chain of elif is a list, not a tower: its length is no depth of the template.
      if (++depth_ > kMaxBlockDepth) return in_.Fail("too many elif");
      if (!If(nested.get())) return false;
      --depth_;
      node->other.push_back(std::move(nested));
      return true;
    }
    if (!in_.CloseTag()) return false;
    return tag == "endif" || Block("endif", &node->other);
  }

  bool For(Node* node) {
    node->kind = Node::Kind::kFor;
    node->parts.push_back(in_.Target());
    in_.Expect("in");
    node->parts.push_back(in_.Tuple(/*with_condition=*/false));
    node->parts.push_back(in_.Skip("if") ? in_.Expression() : nullptr);
    if (in_.Skip("recursive")) node->text = "recursive";
    if (!in_.CloseTag()) return false;
    ++loops_;
    if (!Body({"else", "endfor"}, &node->body)) return false;
    --loops_;
    in_.OpenTag();
    const std::string tag = in_.Name();
    if (!in_.CloseTag()) return false;
    return tag == "endfor" || Block("endfor", &node->other);
  }

  bool Set(Node* node) {
    node->kind = Node::Kind::kSet;
    node->parts.push_back(in_.Target());
    if (in_.Skip("=")) {
      node->parts.push_back(in_.Tuple());
      return in_.CloseTag();
    }
    node->kind = Node::Kind::kSetBlock;
    if (in_.Skip("|")) return Filters(node) && Block("endset", &node->body);
    node->parts.push_back(in_.MakeNode(Node::Kind::kConstant));
    return in_.CloseTag() && Block("endset", &node->body);
  }

  // name|name(...)| ... of the body that follows, and the tag's end.
  bool Filters(Node* node) {
    NodePtr filters = in_.Filter(in_.MakeNode(Node::Kind::kConstant));
    while (in_.ok() && in_.Skip("|")) filters = in_.Filter(std::move(filters));
    node->parts.push_back(std::move(filters));
    return in_.CloseTag();
  }

  // (name, name=default ...)
  void Parameters(Node* node) {
    in_.Expect("(");
    while (in_.ok() && !in_.Skip(")")) {
      if (!node->names.empty()) in_.Expect(",");
      node->names.push_back(in_.Name());
      node->parts.push_back(in_.Skip("=") ? in_.Expression() : nullptr);
    }
  }

  bool Macro(Node* node) {
    node->text = in_.Name();
    Parameters(node);
    return in_.CloseTag() && MacroBody(node, "endmacro");
  }

  bool MacroBody(Node* node, const char* end) {
    node->kind = Node::Kind::kMacro;
    const size_t from = in_.position();
    const int loops = std::exchange(loops_, 0);
    if (!Block(end, &node->body)) return false;
    loops_ = loops;
    for (const char* name : {"caller", "varargs", "kwargs"})
      if (in_.Uses(name, from)) node->names.emplace_back(name);
    return true;
  }

  // call m(...), or call(parameters) m(...)
  bool CallBlock(Node* node) {
    node->kind = Node::Kind::kCallBlock;
    NodePtr macro = in_.MakeNode(Node::Kind::kMacro);
    macro->text = "caller";
    if (in_.IsNext("(")) Parameters(macro.get());
    node->parts.push_back(in_.Expression());
    if (in_.ok() && node->parts[0]->kind != Node::Kind::kCall) return in_.Fail("expected a call");
    if (!in_.CloseTag() || !MacroBody(macro.get(), "endcall")) return false;
    node->parts.push_back(std::move(macro));
    return true;
  }

  bool With(Node* node) {
    node->kind = Node::Kind::kScope;
    while (in_.ok() && in_.Peek().kind != Token::Kind::kEnd) {
      if (!node->names.empty()) in_.Expect(",");
      node->names.push_back(in_.Name());
      in_.Expect("=");
      node->parts.push_back(in_.Expression());
    }
    return in_.CloseTag() && Block("endwith", &node->body);
  }

  TokenStream& in_;
  int depth_ = 0;
  int loops_ = 0;
};

}  // namespace

bool Parse(absl::string_view source, Nodes* nodes, SyntaxError* error) {
  std::vector<Token> tokens;
  if (!Lex(source, &tokens, &error->message, &error->line)) return false;
  TokenStream stream(std::move(tokens), error);
  return Parser(&stream).Body({}, nodes) && stream.ok();
}

}  // namespace ponder::data::jinja
