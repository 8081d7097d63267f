// The generated task "code": small Python functions, judged by calls (kind "code").
//
//   Write a Python function f(x): add 7, then times 3.   (x+7)*3   def f(x): return (x+7)*3
//
// The level is the number of operations.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "data/tasks.h"

namespace ponder::data {

// Distinct functions with source "code", difficulty `level`, and tests that tell any two of them
// apart which compute different things. A pure function of the arguments; whether a function is
// held out depends on it alone. InvalidArgument: a level outside 1 to 4, negative sizes.
// OutOfRange: there are not so many.
absl::StatusOr<TaskSet> MakeFunctionSet(int level, int64_t train, int64_t eval, uint64_t seed);

}  // namespace ponder::data
