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

// "zero" to "twenty", "thirty", ..., "hundred".
std::optional<long> NumberNamed(absl::string_view lower_case_word);

}  // namespace ponder::verifier::math
