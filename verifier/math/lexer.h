// From the text of an answer to tokens. LaTeX, plain text and Unicode come out alike.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder::verifier::math {

enum class TokenType : uint8_t {
  kEnd,
  kNumber,
  kWord,      // letters, as they stand beside each other
  kCommand,   // \name, without the backslash; "{" and "}" are the brackets of sets; "begin" and
              // "end" of an environment
  kText,      // \text{...}, \mathrm{...}: words that are not a product of variables
  kPunct,     // one character; '$' is \$, '&' and '\n' separate cells and rows
  kRelation,  // '=', '<', '>', 'l' (<=), 'g' (>=), '!' (not equal), '~' (approximately), 'i' (in)
};

struct Token {
  TokenType type = TokenType::kEnd;
  char symbol = 0;  // kPunct, kRelation
  bool space_before = false;
  bool roman = false;  // kText and kWord from \mathrm
  std::string text;    // kWord, kCommand, kText; kNumber: its digits, without point
  // kNumber only.
  bool decimal = false;   // has a point or an exponent
  long decimals = 0;      // digits after the point
  long exponent = 0;      // of ten
  std::string repeating;  // digits under a bar, after those of `text`

  bool Is(TokenType wanted, char c) const { return type == wanted && symbol == c; }
  bool IsPunct(char c) const { return Is(TokenType::kPunct, c); }
  bool IsCommand(absl::string_view name) const {
    return type == TokenType::kCommand && text == name;
  }
};

// Ends with a kEnd. nullopt: a character that no answer has.
std::optional<std::vector<Token>> Lex(absl::string_view text);

}  // namespace ponder::verifier::math
