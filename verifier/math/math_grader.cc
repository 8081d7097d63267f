#include "verifier/math/math_grader.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "verifier/math/judge.h"
#include "verifier/math/text_answer.h"

namespace ponder::verifier {
namespace {

using Outcome = Verdict::Outcome;

constexpr size_t kMaxAlternatives = 16;

// ['a\n', 'b']: several golds, any of which is right, as Python prints a list.
std::vector<std::string> Alternatives(absl::string_view gold) {
  const absl::string_view text = absl::StripAsciiWhitespace(gold);
  if (!(absl::StartsWith(text, "['") || absl::StartsWith(text, "[\"")) ||
      !absl::EndsWith(text, "]"))
    return {};
  std::vector<std::string> found;
  size_t i = 1;
  while (i < text.size() && (text[i] == '\'' || text[i] == '"') &&
         found.size() < kMaxAlternatives) {
    const char quote = text[i++];
    std::string one;
    for (; i < text.size() && text[i] != quote; ++i) {
      if (text[i] == '\\' && i + 1 < text.size()) {
        ++i;
        one.push_back(text[i] == 'n' ? '\n' : text[i]);
      } else {
        one.push_back(text[i]);
      }
    }
    found.emplace_back(absl::StripAsciiWhitespace(one));
    ++i;
    while (i < text.size() && (text[i] == ',' || text[i] == ' ')) ++i;
  }
  return i < text.size() && text[i] == ']' ? found : std::vector<std::string>();
}

Verdict Make(Outcome outcome, absl::string_view detail, absl::string_view extracted,
             absl::string_view reason) {
  Verdict verdict;
  verdict.outcome = outcome;
  verdict.detail = std::string(detail);
  verdict.extracted = std::string(extracted.substr(0, math::kMaxQuoted));
  verdict.reason = std::string(reason);
  return verdict;
}

}  // namespace

Verdict MathGrader::Grade(const Question& question, absl::Time deadline) const {
  const math::Extraction extraction = math::ExtractAnswer(question.response);
  std::vector<std::string> golds = Alternatives(question.gold);
  if (golds.empty()) golds.emplace_back(question.gold);
  if (extraction.source == math::AnswerSource::kUnclosedThought) {
    return Make(Outcome::kUnparsable, "unclosed_thought", "", "the thought is never closed");
  }
  if (extraction.source == math::AnswerSource::kUnclosedBox) {
    return Make(Outcome::kUnparsable, "unclosed_box", "", "a \\boxed{ is never closed");
  }
  math::Finding best;
  std::string text;
  for (size_t i = 0; i < golds.size(); ++i) {
    math::Judge judge(extraction);
    math::Finding finding = judge.Against(golds[i]);
    text = judge.answer_text();
    const bool correct = finding.outcome == Outcome::kCorrect;
    // Wrong against one and not judged against another is not judged.
    if (i == 0 || correct || best.outcome == Outcome::kWrong) best = std::move(finding);
    if (correct) break;
  }
  if (best.outcome != Outcome::kCorrect && golds[0] != question.gold &&
      math::SameSpelling(question.gold, text)) {
    best = {Outcome::kCorrect, "", "spelled the same"};
  }
  return Make(best.outcome, best.detail, text, best.reason);
}

absl::Status MathGrader::CheckGold(absl::string_view gold) const {
  const Verdict verdict =
      Grade({gold, absl::StrCat("\\boxed{", gold, "}")}, absl::InfiniteFuture());
  if (verdict.outcome == Outcome::kCorrect) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a response that gives this gold would be judged ",
                                                 OutcomeName(verdict.outcome), " (", verdict.reason,
                                                 "): ", gold.substr(0, math::kMaxQuoted)));
}

}  // namespace ponder::verifier
