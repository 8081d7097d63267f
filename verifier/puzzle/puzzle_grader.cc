#include "verifier/puzzle/puzzle_grader.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "verifier/final_answer.h"
#include "verifier/puzzle/checkers.h"

namespace ponder::verifier {
namespace {

using Outcome = Verdict::Outcome;

constexpr size_t kMaxAnswer = 64 << 10;  // bytes
constexpr size_t kMaxQuoted = 256;

Verdict Make(Outcome outcome, absl::string_view detail, std::string reason) {
  Verdict verdict;
  verdict.outcome = outcome;
  verdict.detail = std::string(detail);
  verdict.reason = std::move(reason);
  return verdict;
}

absl::StatusOr<const puzzle::Checker*> FindChecker(const std::string& family) {
  for (const puzzle::Checker& checker : puzzle::Checkers()) {
    if (checker.family == family) return &checker;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no puzzle family is called '", family.substr(0, 64), "'"));
}

absl::string_view Detail(Outcome outcome) {
  if (outcome == Outcome::kUnparsable) return "unparsable_answer";
  if (outcome == Outcome::kError) return "unparsable_gold";
  return outcome == Outcome::kTimeout ? "over_budget" : "";
}

}  // namespace

Verdict PuzzleGrader::Grade(const Question& question, absl::Time deadline) const {
  const auto gold = data::puzzle::ParseGold(question.gold);
  if (!gold.ok())
    return Make(Outcome::kError, "unparsable_gold", std::string(gold.status().message()));
  const auto checker = FindChecker(gold->family);
  if (!checker.ok())
    return Make(Outcome::kError, "unparsable_gold", std::string(checker.status().message()));
  const FinalAnswers answers = FindFinalAnswers(question.response);
  if (answers.texts.empty()) {
    return Make(Outcome::kUnparsable, answers.missing, "the response has no final answer");
  }
  Verdict verdict = Make(Outcome::kUnparsable, "unparsable_answer", "");
  for (const std::string& text : answers.texts) {
    data::puzzle::InstanceReader in(gold->instance);
    puzzle::Finding finding = text.size() > kMaxAnswer
                                  ? puzzle::Finding{Outcome::kTimeout, "the answer is too long"}
                                  : (*(*checker)->check)(in, text);
    // What can't be read is no answer, unless nothing can be.
    if (finding.outcome == Outcome::kUnparsable && !verdict.extracted.empty()) continue;
    verdict = Make(finding.outcome, Detail(finding.outcome), std::move(finding.reason));
    verdict.extracted = text.substr(0, kMaxQuoted);
    if (finding.outcome != Outcome::kCorrect && finding.outcome != Outcome::kUnparsable) break;
  }
  return verdict;
}

absl::Status PuzzleGrader::CheckGold(absl::string_view gold) const {
  PONDER_ASSIGN_OR_RETURN(const data::puzzle::Gold parsed, data::puzzle::ParseGold(gold));
  PONDER_ASSIGN_OR_RETURN(const puzzle::Checker* checker, FindChecker(parsed.family));
  data::puzzle::InstanceReader in(parsed.instance);
  const puzzle::Finding finding = checker->check(in, "");
  if (finding.outcome != Outcome::kError) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("puzzle gold of family ", parsed.family, ": ", finding.reason));
}

}  // namespace ponder::verifier
