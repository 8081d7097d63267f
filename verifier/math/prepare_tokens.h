// Between lexer and parser: what a run of letters means.
#pragma once

#include <vector>

#include "verifier/math/lexer.h"

namespace ponder::verifier::math {

// "xy" becomes x and y; "sin" and "pi" commands; "and", "or" and nouns texts; "5 cm" keeps its unit
// as a text; "x in" a relation.
std::vector<Token> PrepareTokens(std::vector<Token> tokens);

// "and" or "or", if the text says no more than that: ", and", "OR", "或".
absl::string_view Connective(absl::string_view text);

// Whether the text is "am", "p.m." or the like: 'a', 'p' or 0.
char HalfOfDay(absl::string_view text);

}  // namespace ponder::verifier::math
