// Chemical formulas and equations.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace ponder::verifier::choice {

enum class Chemistry { kNone, kFormula, kEquation };

// What a gold is. Words and variables that happen to be made of element symbols (NO, C) are kNone:
// a formula needs a digit, a charge, a bracket or two elements, and can't be one of "NO", "No".
Chemistry KindOfChemistry(absl::string_view gold);

// Formulas: the same elements, groups, counts and charge in the same order, however they are
// typeset; isomers differ in no more than the order. Equations: the same species on each side, in
// any order, with coefficients in the same ratio; states of matter don't count. False for what
// can't be read.
bool SameFormula(absl::string_view gold, absl::string_view answer);
bool SameEquation(absl::string_view gold, absl::string_view answer);

// Whether `answer` can be read as what `kind` says.
bool IsReadable(Chemistry kind, absl::string_view answer);

}  // namespace ponder::verifier::choice
