// Units of measure: what they are multiples of.
#pragma once

#include <array>
#include <optional>

#include "absl/strings/string_view.h"
#include "verifier/math/rational.h"

namespace ponder::verifier::math {

// A value: factor times a product of base units.
struct Unit {
  // Powers of metre, kilogram, second, ampere, kelvin, mole, dollar, byte, and one place for units
  // that convert to nothing else.
  std::array<int, 9> dimension{};
  Rational factor = 1;
};

// "cm", "square feet", "mi/hr", "kg*m/s^2", "sq. units": letters, digits, '^', '*', '/', '.', '-'
// and spaces. nullopt: not a unit that is known.
std::optional<Unit> ParseUnit(absl::string_view text);

// Whether one word of it is known: "cm", "feet"; or a magnitude, "million".
bool IsUnitWord(absl::string_view word);

}  // namespace ponder::verifier::math
