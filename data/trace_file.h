// The file of worked solutions that SFT learns from: JSONL in our prompt layout (data/prompt_line.h) plus "thought" and
// "answer", as WriteTaskSet writes it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/tasks.h"

namespace ponder::data {

// InvalidArgument, "file:line: what is wrong": a broken line, or no line at all.
absl::StatusOr<std::vector<Trace>> LoadTraces(const std::string& path);

}  // namespace ponder::data
