// The seam of the verifier: one kind of question, judged.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/types.h"

namespace ponder::verifier {

enum class Pace {
  kQuick = 0,     // milliseconds
  kPrograms = 1,  // seconds of processor time: programs run
  kModels = 2,    // seconds of waiting: a model is asked
};
constexpr int kPaces = 3;

// What is judged: views that the caller keeps alive during the call.
struct Question {
  absl::string_view gold;      // ground truth
  absl::string_view response;  // everything that the model wrote, think block included
};

// Judges one kind of answers. A seam; implementations are thread-safe and keep nothing between
// calls: the verdict is a function of the question alone, unless the deadline cuts it short.
class Grader {
 public:
  virtual ~Grader() = default;

  // Never fails: what can't be judged is a Verdict with outcome kError (the gold is at fault, or
  // the grader), kUnparsable (the response is) or kTimeout (the budget, or `deadline`). Leaves
  // `cost_seconds` to the caller.
  virtual Verdict Grade(const Question& question, absl::Time deadline) const = 0;

  // OK if a response that gives exactly `gold` would be judged correct; else InvalidArgument says
  // why not. For prompt sets, when they are loaded.
  virtual absl::Status CheckGold(absl::string_view gold) const = 0;

  // What judging takes. A service has threads for each, so that none waits behind a slower one.
  virtual Pace pace() const { return Pace::kQuick; }
};

}  // namespace ponder::verifier
