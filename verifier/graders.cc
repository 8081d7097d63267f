#include "verifier/graders.h"

#include <exception>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/steady_clock.h"
#include "verifier/choice/choice_grader.h"
#include "verifier/code/code_grader.h"
#include "verifier/math/math_grader.h"
#include "verifier/puzzle/puzzle_grader.h"

namespace ponder::verifier {

absl::StatusOr<const Grader*> Graders::Find(absl::string_view kind) const {
  const auto found = by_kind_.find(kind);
  if (found != by_kind_.end()) return found->second.get();
  std::vector<absl::string_view> known;
  for (const auto& [name, grader] : by_kind_) known.push_back(name);
  return absl::InvalidArgumentError(absl::StrCat("no grader of kind '", kind.substr(0, 64),
                                                 "'; known: ", absl::StrJoin(known, ", ")));
}

Graders::Map ShippedGraders() {
  Graders::Map by_kind;
  by_kind["choice"] = std::make_unique<ChoiceGrader>();
  by_kind["code"] = std::make_unique<CodeGrader>();
  by_kind["math"] = std::make_unique<MathGrader>();
  by_kind["puzzle"] = std::make_unique<PuzzleGrader>();
  return by_kind;
}

Graders MakeGraders() { return Graders(ShippedGraders()); }

Verdict TimedGrade(const Grader& grader, const Question& question, absl::Time deadline) {
  const absl::Time start = SteadyNow();
  Verdict verdict;
  try {
    verdict = grader.Grade(question, deadline);
  } catch (const std::exception& failure) {
    verdict = Verdict();
    verdict.reason = absl::StrCat("the grader failed: ", failure.what());
  }
  verdict.cost_seconds = absl::ToDoubleSeconds(SteadyNow() - start);
  return verdict;
}

}  // namespace ponder::verifier
