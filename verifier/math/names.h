// The names that mathematics and everyday answers give to things.
#pragma once

#include <optional>

#include "absl/strings/string_view.h"
#include "verifier/math/tree.h"

namespace ponder::verifier::math {

// "sin", "arcsin", "ln", ... as a command or a plain word.
std::optional<Function> FunctionNamed(absl::string_view name);
// sin -> asin; nullopt if the function has no inverse with a name.
std::optional<Function> InverseOf(Function function);

// "alpha", "Omega", "hbar", ...: a symbol that is spelled.
bool IsGreek(absl::string_view name);
// "sum", "int", "lim", ...: operators that aren't evaluated, with bounds and a body.
bool IsUnevaluatedOperator(absl::string_view name);
// "gcd", "lcm", ...: functions that aren't evaluated.
bool IsUnevaluatedFunction(absl::string_view name);
// "overline", "vec", ...: what marks a symbol.
bool IsAccent(absl::string_view name);

// "seven", "twenty one", "two thousand five hundred and six": whole numbers in words, one space
// apart.
std::optional<long> NumberNamed(absl::string_view lower_case_words);
// "hundred", "thousand", "million", ... in any case: what a number before it is times.
std::optional<long> MagnitudeNamed(absl::string_view word);

}  // namespace ponder::verifier::math
