// The Python programs that run in jails beside an answer. Each is a whole file for /box.
//
// Calls cross a pair of pipes as frames: eight hexadecimal digits of length, then a value:
//   N T F              None, True, False
//   i<digits>; f<repr>;         int, float
//   s<bytes>:<utf-8>  b<bytes>:<raw>
//   l<n>:  t<n>:  e<n>:  z<n>:  d<n>:    list, tuple, set, frozenset, dict (keys and values in
//   turn) x<bytes>:<type name>       anything else, subclasses of the above among them
// A request is 16 random characters and t3:<name><list of arguments><dict of keyword arguments>; a
// reply is the same 16 characters, which nobody can write in advance, and 'o' and a value, or 'e' and
// the exception's type and message. Only the types are trusted, never their behaviour: what arrives is
// built of plain values.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace ponder::verifier {

// Runs /box/main.py as a program of standard input and output.
absl::string_view PythonStreamProgram();
// Runs /box/main.py, then answers calls of its functions: requests on descriptor 3, replies on 4.
std::string PythonCallProgram();
// Makes calls (requests on 4, replies on 3) and judges what comes back. Standard input is a JSON
// object {"entry", "asserts"} or {"tests": {"function", "cases", "tolerance"?}}; standard output is
// a JSON object {"verdict", "reason"}: see CallVerdict.
std::string PythonDriverProgram();
// Runs the checker /box/checker.py on input.txt, output.txt and answer.txt. It accepts by exit code
// 0; or defines check(input, output, answer), which returns whether.
absl::string_view PythonCheckerProgram();

}  // namespace ponder::verifier
