// The syntax tree of a template.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "data/jinja/value.h"

namespace ponder::data::jinja {

struct Node;
using NodePtr = std::unique_ptr<Node>;
using Nodes = std::vector<NodePtr>;

// A value. What each kind has in `parts` stands beside it; a part in [] may be null.
struct Node {
  enum class Kind {
    // Statements.
    kText,      // text
    kOutput,    // expression
    kIf,        // condition; body; other
    kFor,       // target, iterable, [filter]; body; other: the else branch; text: "recursive" or ""
    kSet,       // target, value
    kSetBlock,  // target, filters of what the body, a text, becomes
    kMacro,     // text: name; names: parameters, then those of caller, varargs and kwargs that
                // the body uses; parts: the parameters' [defaults]; body
    kCallBlock,  // call, the body as a macro for its caller()
    kBreak,
    kContinue,
    kScope,  // with, generation: body in a scope of its own; names, parts: variables and values
    kFilterBlock,  // filters of what the body becomes
    // Expressions.
    kConstant,   // constant
    kName,       // text
    kList,       // items
    kTuple,      // items
    kDict,       // key, value, key, value ...
    kUnary,      // text: "-", "+" or "not"; operand
    kBinary,     // text: the operator; left, right
    kAnd,        // left, right
    kOr,         // left, right
    kCompare,    // names: operators; operands, one more than operators
    kCondition,  // value, condition, [else]
    kAttribute,  // text; object
    kItem,       // object, index
    kSlice,      // object, [start], [stop], [step]
    kCall,       // function, arguments ...; names: of the last arguments; "*", "**": many of them
    kFilter,     // text; operand, arguments ...; names: of the last arguments
    kTest,       // text; operand, arguments ...
  };
  Kind kind;
  int line = 1;
  int depth = 0;  // of the operators below it
  std::string text;
  std::string source;  // of a statement: its tag, for messages
  std::vector<std::string> names;
  Nodes parts, body, other;
  Value constant;
};

struct SyntaxError {
  std::string message;
  int line = 0;
  std::string source;  // the tag it is in
};

// False: `error` says what can't be read.
bool Parse(absl::string_view source, Nodes* nodes, SyntaxError* error);

}  // namespace ponder::data::jinja
