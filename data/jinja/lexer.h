// The words of a template. Whitespace control is done here: "-" and "+" at tags, trim_blocks and
// lstrip_blocks, as transformers sets Jinja up.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder::data::jinja {

struct Token {
  enum class Kind {
    kText,    // outside of tags
    kOutput,  // {{
    kBlock,   // {%
    kEnd,     // }} or %}
    kName,
    kString,
    kInt,
    kFloat,
    kOperator,
    kEof
  };
  Kind kind = Kind::kEof;
  std::string text;  // the word; of a string literal: what it stands for
  int line = 1;
  std::string source;  // kOutput, kBlock: the tag as it is written, cut short
};

// False: `problem` and `line` say what can't be read.
bool Lex(absl::string_view source, std::vector<Token>* tokens, std::string* problem, int* line);

}  // namespace ponder::data::jinja
