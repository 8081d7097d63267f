// How values cross between a C++ answer and its tests: source text that both programs contain.
#pragma once

#include "absl/strings/string_view.h"

namespace ponder::verifier {

// Values are written by their static type and read into one; what has no form on the wire becomes a
// value that equals nothing.
absl::string_view CppWire();

}  // namespace ponder::verifier
