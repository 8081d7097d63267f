#include "verifier/math/math_grader.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "verifier/math/extract.h"
#include "verifier/math/number.h"

namespace ponder::verifier {
namespace {

constexpr size_t kMaxQuoted = 256;  // bytes of an answer that a verdict repeats

Verdict Make(Verdict::Outcome outcome, absl::string_view detail, absl::string_view extracted,
             std::string reason) {
  Verdict verdict;
  verdict.outcome = outcome;
  verdict.detail = std::string(detail);
  verdict.extracted = std::string(extracted.substr(0, kMaxQuoted));
  verdict.reason = std::move(reason);
  return verdict;
}

}  // namespace

Verdict MathGrader::Grade(const Question& question, absl::Time deadline) const {
  using Outcome = Verdict::Outcome;
  const Extraction gold_text = ExtractAnswer(question.gold);
  const std::optional<mpq_class> gold = ParseNumber(gold_text.answer);
  if (!gold) {
    return Make(Outcome::kError, "unparsable_gold", "",
                absl::StrCat("the gold is not a number: ", question.gold.substr(0, kMaxQuoted)));
  }
  const Extraction answer = ExtractAnswer(question.response);
  switch (answer.source) {
    case AnswerSource::kNone:
      return Make(Outcome::kUnparsable, "no_answer", "", "the response is empty after the thought");
    case AnswerSource::kUnclosedThought:
      return Make(Outcome::kUnparsable, "unclosed_thought", "", "the thought is never closed");
    case AnswerSource::kUnclosedBox:
      return Make(Outcome::kUnparsable, "unclosed_box", "", "a \\boxed{ is never closed");
    default:
      break;
  }
  const std::optional<mpq_class> value = ParseNumber(answer.answer);
  if (!value) {
    return Make(Outcome::kUnparsable, "unparsable_answer", answer.answer,
                "the answer is not a number");
  }
  if (*value == *gold) return Make(Outcome::kCorrect, "", answer.answer, "equal rationals");
  return Make(Outcome::kWrong, "", answer.answer, "different rationals");
}

absl::Status MathGrader::CheckGold(absl::string_view gold) const {
  const Verdict verdict =
      Grade({gold, absl::StrCat("\\boxed{", gold, "}")}, absl::InfiniteFuture());
  if (verdict.outcome == Verdict::Outcome::kCorrect) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a response that gives this gold would be judged ",
                                                 OutcomeName(verdict.outcome), " (", verdict.reason,
                                                 "): ", gold.substr(0, kMaxQuoted)));
}

}  // namespace ponder::verifier
