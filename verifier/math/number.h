// Exact numbers as people and models write them.
#pragma once

#include <gmpxx.h>

#include <optional>

#include "absl/strings/string_view.h"

namespace ponder::verifier {

// Reads an integer, decimal or fraction: "-3", "1,234.50", "3/4", "\frac{3}{4}", "-\dfrac12",
// "$40", "40.", "72 clips". Exact. nullopt: not a number, division by zero, or more than 4096
// digits.
std::optional<mpq_class> ParseNumber(absl::string_view text);

}  // namespace ponder::verifier
