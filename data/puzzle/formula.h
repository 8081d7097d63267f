// Propositional formulas: names A to Z, True, False, (not f), (f and g), (f or g), (f iff g),
// (f xor g), (f implies g).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/philox.h"

namespace ponder::data::puzzle {

// The value where bit i of `truth` says whether the i-th name is true. nullopt: no formula, or more
// than 4096 bytes or 64 brackets deep.
std::optional<bool> Evaluate(absl::string_view formula, uint32_t truth);

// A random formula of the given depth; over the first `names` names, or True and False if it is 0.
std::string RandomFormula(int depth, int names, Rng& rng);

}  // namespace ponder::data::puzzle
