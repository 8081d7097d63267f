// The program in a response.
#pragma once

#include "absl/strings/string_view.h"
#include "verifier/code/code_task.h"

namespace ponder::verifier {

struct Submission {
  enum class Found { kProgram, kUnclosedThought, kNoCode };
  Found found = Found::kNoCode;
  absl::string_view source;  // part of the response
};

// Only what follows the last </think> counts. Of several fenced blocks in the task's language (or
// in no named one) the last is the program; of those that name the task's function, where any does.
// A response without fences is a program as a whole; one with fences of other languages alone has
// no code.
Submission FindSubmission(absl::string_view response, const CodeTask& task);

}  // namespace ponder::verifier
