// The problems behind the generated tasks: arithmetic that takes several steps.
//
//   sum3     12+34+56=?         12+34=46;46+56=102
//   product  47*36=?            47*30=1410;47*6=282;1410+282=1692
//   chain    (12+5)*4-9=?       12+5=17;17*4=68;68-9=59
//   modular  (34*7+15)mod 11=?  34*7=238;238+15=253;253-11*23=0
//
// Each task is a numbered space of problems, so that any two sets drawn from it can be told apart
// exactly.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/types/span.h"

namespace ponder::data {

// A value.
struct Problem {
  std::string question;   // what the model is asked
  std::string thought;    // the steps that lead to the answer, separated by ';'
  std::string answer;     // a whole number of at least 0
  std::string canonical;  // equal for problems that differ only in the order of operands that may
                          // be swapped
  int32_t difficulty = 1;
};

// A task's problems, numbered from 0 to size - 1.
struct ProblemSpace {
  const char* name;
  int64_t size;
  // nullopt for numbers that stand for no problem, e.g. one whose answer would be negative.
  std::optional<Problem> (*problem)(int64_t number);
};

absl::Span<const ProblemSpace> ProblemSpaces();

}  // namespace ponder::data
