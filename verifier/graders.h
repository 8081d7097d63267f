// All kinds of graders, wired by hand.
#pragma once

#include <memory>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "verifier/grader.h"

namespace ponder::verifier {

// The graders by kind. A value that is never changed once made, thread-safe.
class Graders {
 public:
  using Map = absl::btree_map<std::string, std::unique_ptr<const Grader>>;
  explicit Graders(Map by_kind) : by_kind_(std::move(by_kind)) {}

  // InvalidArgument names the known kinds.
  absl::StatusOr<const Grader*> Find(absl::string_view kind) const;

 private:
  Map by_kind_;
};

// The kinds that Ponder ships and that need nothing else: "choice", "code", "math", "puzzle".
Graders::Map ShippedGraders();
Graders MakeGraders();  // of those

// grader.Grade with its cost measured. What the grader throws becomes kError.
Verdict TimedGrade(const Grader& grader, const Question& question, absl::Time deadline);

}  // namespace ponder::verifier
