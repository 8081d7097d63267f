// The C++ that is compiled beside an answer, or beside the tests that call it: never both in one
// program. They speak the frames of python_programs.h.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace ponder::verifier {

// The answer, its own main renamed, as a program that answers calls of `entry`.
std::string CppCallProgram(absl::string_view answer, absl::string_view entry);
// The tests as a program in which `entry` names an object that makes the calls. It exits with 0 if
// all assertions held, kCppLost if the answer's process ended, kCppRaised if the answer threw; an
// assertion that fails aborts it.
std::string CppDriverProgram(absl::string_view asserts, absl::string_view entry);
constexpr int kCppLost = 73;
constexpr int kCppRaised = 74;

}  // namespace ponder::verifier
