// From tokens to the tree of an answer.
#pragma once

#include "absl/strings/string_view.h"
#include "verifier/math/tree.h"

namespace ponder::verifier::math {

enum class ParseFailure : uint8_t {
  kNone,
  kSyntax,      // not mathematics that Ponder knows
  kOverBudget,  // too long, too deep, too many nodes
};

// `tree` belongs to the arena; null if there is a failure.
struct ParseResult {
  const Node* tree = nullptr;
  ParseFailure failure = ParseFailure::kNone;
};

// Reads the whole of `text`: LaTeX, plain text, or a mixture. Never a part of it: what follows a
// number may change its meaning.
ParseResult ParseMath(absl::string_view text, Arena* arena);

}  // namespace ponder::verifier::math
