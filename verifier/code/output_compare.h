// Is what a program wrote the expected output?
#pragma once

#include "absl/strings/string_view.h"

namespace ponder::verifier {

// Compares the tokens between ASCII white space, byte by byte. With a tolerance, two tokens that
// are both finite decimal numbers also match when |actual - expected| <= tolerance * max(1,
// |expected|). A NUL byte in `actual` never matches.
bool OutputMatches(absl::string_view actual, absl::string_view expected, double tolerance);

}  // namespace ponder::verifier
