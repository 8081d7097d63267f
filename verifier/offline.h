// Verdicts on a file: JSON lines in, JSON lines out, in the same order.
#pragma once

#include <cstdint>
#include <functional>
#include <istream>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "verifier/graders.h"

namespace ponder::verifier {

struct OfflineReport {
  int64_t graded = 0;
  std::vector<int64_t> broken_lines;  // numbered from 1
};

// What a line asks.
struct LineQuestion {
  std::string kind;
  std::string gold;
  std::string response;
};

// Gives the verdict on a line, or says why the line is broken. Called by several threads at once.
using LineJudge = std::function<absl::StatusOr<Verdict>(const LineQuestion&)>;

// A line {"id", "kind", "gold", "response"} gives a line {"id", "verdict", "detail", "extracted",
// "reason"}; `id` may be any JSON value. Kinds with more to their ground truth than "gold" name its
// parts as fields: choice {gold, options}, puzzle {family, instance}, code {language, tests,
// limits}, judge {question, gold}; the grader's gold is then a JSON object of them. A line that is
// not such an object, or of an unknown kind, gives no line in `out` but one in `errors` with its
// number. Empty lines are passed over. Blocks of lines are judged by `threads` threads.
// Unavailable: `out` can't be written.
absl::StatusOr<OfflineReport> GradeLines(const LineJudge& judge, int threads, std::istream& in,
                                         std::ostream& out, std::ostream& errors);

// By graders in this process. `graders` outlives what is made.
LineJudge JudgeWith(const Graders& graders);

}  // namespace ponder::verifier
