#include "verifier/choice/choice_grader.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "nlohmann/json.hpp"
#include "verifier/choice/chemistry.h"
#include "verifier/choice/letters.h"
#include "verifier/final_answer.h"
#include "verifier/math/math_grader.h"

namespace ponder::verifier {
namespace {

using choice::Chemistry;
using choice::Chosen;
using Json = nlohmann::ordered_json;
using Outcome = Verdict::Outcome;

constexpr size_t kMaxQuoted = 256;

struct Gold {
  std::string text;
  std::vector<std::string> options;
  std::string letters;  // empty: a short answer
};

// Upper-case letters that aren't a formula: without options "AC" is a choice, "CO" and "HF" aren't.
std::string GoldLetters(const Gold& gold) {
  if (!gold.options.empty()) {
    const Chosen chosen = choice::ReadChoice(gold.text, gold.options);
    return chosen.hedged ? "" : chosen.letters;
  }
  const Chosen chosen = choice::ReadLetters(gold.text, 'J');
  const bool separated = gold.text.find_first_of(" ,;") != std::string::npos;
  const bool ascending = std::is_sorted(gold.text.begin(), gold.text.end());
  return chosen.hedged || !(separated || ascending || chosen.letters.size() == 1) ? ""
                                                                                  : chosen.letters;
}

absl::StatusOr<Gold> ReadGold(absl::string_view text) {
  Gold gold;
  const absl::string_view bare = absl::StripAsciiWhitespace(text);
  const Json json = absl::StartsWith(bare, "{")
                        ? Json::parse(bare.begin(), bare.end(), nullptr, /*allow_exceptions=*/false)
                        : Json();
  if (json.is_object() && json.contains("gold")) {
    if (!json["gold"].is_string()) return absl::InvalidArgumentError("'gold' is not a text");
    gold.text = json["gold"].get<std::string>();
    if (json.contains("options") && !json["options"].is_null()) {
      for (const auto& [key, option] : json["options"].items()) {
        const bool lettered = key == absl::StrCat(gold.options.size()) ||
                              key == std::string(1, static_cast<char>('A' + gold.options.size()));
        if (!option.is_string() || !lettered || gold.options.size() == 26)
          return absl::InvalidArgumentError("'options' are no texts for the letters from A on");
        gold.options.push_back(option.get<std::string>());
      }
    }
  } else {
    gold.text = std::string(bare);
  }
  if (absl::StripAsciiWhitespace(gold.text).empty())
    return absl::InvalidArgumentError("the gold is empty");
  gold.letters = GoldLetters(gold);
  if (gold.letters.empty() && !gold.options.empty())
    return absl::InvalidArgumentError("the gold is none of the options");
  return gold;
}

Verdict Make(Outcome outcome, absl::string_view detail, absl::string_view extracted,
             absl::string_view reason) {
  Verdict verdict;
  verdict.outcome = outcome;
  verdict.detail = std::string(detail);
  verdict.extracted = std::string(extracted.substr(0, kMaxQuoted));
  verdict.reason = std::string(reason);
  return verdict;
}

absl::string_view FirstLine(absl::string_view text) { return text.substr(0, text.find('\n')); }

// The first or the last line of an answer; the lines between them explain. A letter that stands
// alone is stronger than one that a sentence names; two of them must be the same.
Chosen ReadLines(absl::string_view text, const std::vector<std::string>& options) {
  const absl::string_view first = FirstLine(text), last = text.substr(text.rfind('\n') + 1);
  Chosen from_first = choice::ReadChoice(first, options);
  if (first.size() == text.size()) return from_first;
  Chosen from_last = choice::ReadChoice(last, options);
  const auto stands = [](const Chosen& chosen) {
    return !chosen.letters.empty() && !chosen.by_sentence;
  };
  if (stands(from_first) && stands(from_last))
    from_last.hedged = from_last.hedged || from_last.letters != from_first.letters;
  const bool take_first = from_last.letters.empty() || (stands(from_first) && !stands(from_last));
  return take_first ? from_first : from_last;
}

Verdict GradeLetters(const Gold& gold, const FinalAnswers& answers) {
  Verdict verdict = Make(Outcome::kUnparsable, "unparsable_answer", answers.texts[0],
                         "chooses none of the options");
  for (const std::string& text : answers.texts) {
    const Chosen chosen = ReadLines(text, gold.options);
    if (chosen.letters.empty()) continue;
    if (chosen.hedged) return Make(Outcome::kWrong, "", text, "leaves the choice open");
    if (chosen.letters != gold.letters)
      return Make(Outcome::kWrong, "", text, absl::StrCat("chooses ", chosen.letters));
    verdict = Make(Outcome::kCorrect, "", text, "");
  }
  return verdict;
}

Verdict GradeChemistry(const Gold& gold, Chemistry kind, const FinalAnswers& answers) {
  Verdict verdict =
      Make(Outcome::kUnparsable, "unparsable_answer", answers.texts[0],
           kind == Chemistry::kEquation ? "no chemical equation" : "no chemical formula");
  const std::string asked = WithoutMarkup(gold.text);
  for (const std::string& whole : answers.texts) {
    absl::string_view text = FirstLine(whole);
    while (absl::ConsumeSuffix(&text, ".")) {
    }
    if (!choice::IsReadable(kind, text)) continue;
    const bool same = kind == Chemistry::kEquation ? choice::SameEquation(asked, text)
                                                   : choice::SameFormula(asked, text);
    if (!same) return Make(Outcome::kWrong, "", text, "other species or other counts");
    verdict = Make(Outcome::kCorrect, "", text, "");
  }
  return verdict;
}

}  // namespace

Verdict ChoiceGrader::Grade(const Question& question, absl::Time deadline) const {
  const absl::StatusOr<Gold> gold = ReadGold(question.gold);
  if (!gold.ok()) return Make(Outcome::kError, "unparsable_gold", "", gold.status().message());
  const Chemistry chemistry =
      gold->letters.empty() ? choice::KindOfChemistry(WithoutMarkup(gold->text)) : Chemistry::kNone;
  if (gold->letters.empty() && chemistry == Chemistry::kNone)
    return MathGrader().Grade({gold->text, question.response}, deadline);
  const FinalAnswers answers = FindFinalAnswers(question.response);
  if (answers.texts.empty())
    return Make(Outcome::kUnparsable, answers.missing, "", "the response has no final answer");
  return gold->letters.empty() ? GradeChemistry(*gold, chemistry, answers)
                               : GradeLetters(*gold, answers);
}

absl::Status ChoiceGrader::CheckGold(absl::string_view gold) const {
  PONDER_ASSIGN_OR_RETURN(const Gold parsed, ReadGold(gold));
  const Verdict verdict =
      Grade({gold, absl::StrCat("\\boxed{", parsed.text, "}")}, absl::InfiniteFuture());
  if (verdict.outcome == Outcome::kCorrect) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a response that gives this gold would be judged ",
                                                 OutcomeName(verdict.outcome), " (", verdict.reason,
                                                 "): ", parsed.text.substr(0, kMaxQuoted)));
}

}  // namespace ponder::verifier
