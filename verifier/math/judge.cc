#include "verifier/math/judge.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "verifier/math/equivalence.h"
#include "verifier/math/text_answer.h"

namespace ponder::verifier::math {
namespace {

using Outcome = Verdict::Outcome;

constexpr int kMaxWrappers = 4;

// The inside of \text{...} or \boxed{...}, if that is all there is.
bool Unwrap(absl::string_view* text) {
  for (const absl::string_view command :
       {"\\text{", "\\mbox{", "\\textbf{", "\\boxed{", "\\mathrm{", "\\textrm{", "\\mathbf{"}) {
    if (!absl::StartsWith(*text, command) || !absl::EndsWith(*text, "}")) continue;
    int depth = 0;
    for (size_t i = command.size() - 1; i < text->size(); ++i) {
      if ((*text)[i] == '\\') {
        ++i;
      } else if ((*text)[i] == '{') {
        ++depth;
      } else if ((*text)[i] == '}' && --depth == 0 && i + 1 < text->size()) {
        return false;
      }
    }
    *text = text->substr(command.size(), text->size() - command.size() - 1);
    return true;
  }
  return false;
}

// Boxes, '####', all of it if that can be read, or what it announces.
Extraction ExtractGold(absl::string_view gold) {
  const absl::string_view whole = absl::StripAsciiWhitespace(gold);
  if (absl::StrContains(whole, "boxed") || absl::StrContains(whole, "####")) {
    Extraction found = ExtractAnswer(whole);
    if (!found.answers.empty()) return found;
  }
  Arena arena;
  if (!IsWordy(whole) && ParseMath(whole, &arena).tree == nullptr) {
    Extraction found = ExtractAnswer(whole);
    if (found.source == AnswerSource::kPhrase && found.answers.size() == 1 &&
        ParseMath(found.answers[0], &arena).tree != nullptr) {
      return found;
    }
  } else if (const size_t newline = whole.rfind('\n');
             newline != absl::string_view::npos && IsWordy(whole)) {
    return {
        AnswerSource::kWhole, {std::string(absl::StripAsciiWhitespace(whole.substr(newline)))}, ""};
  }
  return {AnswerSource::kWhole, {std::string(whole)}, ""};
}

// "(C) 5" -> "5", "\\textbf{(C)}\\ 5" -> "5".
absl::string_view WithoutLabel(absl::string_view text) {
  absl::string_view rest = text;
  const bool bold = absl::ConsumePrefix(&rest, "\\textbf{") ||
                    absl::ConsumePrefix(&rest, "\\text{") ||
                    absl::ConsumePrefix(&rest, "\\mathrm{");
  if (rest.size() < 4 || rest[0] != '(' || !absl::ascii_isupper(rest[1]) || rest[2] != ')')
    return text;
  rest.remove_prefix(3);
  rest = absl::StripAsciiWhitespace(rest);
  if (bold && !absl::ConsumePrefix(&rest, "}")) return text;
  while (absl::ConsumePrefix(&rest, "\\ ") || absl::ConsumePrefix(&rest, "\\quad") ||
         absl::ConsumePrefix(&rest, "\\,") || absl::ConsumePrefix(&rest, "\\;") ||
         absl::ConsumePrefix(&rest, "~") || absl::ConsumePrefix(&rest, " ")) {
  }
  return rest.empty() ? text : rest;
}

bool HasLongWord(absl::string_view text) {
  size_t run = 0;
  for (const char c : text) {
    run = absl::ascii_isalpha(c) ? run + 1 : 0;
    if (run >= 4) return !WordsAsMath(text).has_value();
  }
  return false;
}

bool IsTruthValue(absl::string_view text) {
  const std::string word = NormalText(text);
  return word == "true" || word == "false";
}

// "(b)" chooses as "(B)" does.
char ChoiceInAnswer(absl::string_view text) {
  const absl::string_view bare = absl::StripAsciiWhitespace(text);
  if (bare.size() == 3 && bare[0] == '(' && bare[2] == ')' && absl::ascii_islower(bare[1]))
    return absl::ascii_toupper(bare[1]);
  return ChoiceOf(text);
}

// What a sentence says of its subject: "The graph is a hyperbola", "Yes, it does." Empty if it
// denies or doubts.
absl::string_view Predicate(absl::string_view sentence) {
  const std::string words = absl::StrCat(" ", NormalText(sentence), " ");
  for (const absl::string_view doubt :
       {" not ", "n't ", " no ", " never ", " neither ", " nor ", " or ", " if ", " maybe ",
        " might ", " could ", " may ", " wrong ", " but "}) {
    if (absl::StrContains(words, doubt)) return "";
  }
  const size_t comma = sentence.find(',');
  if (comma != absl::string_view::npos && NormalText(sentence.substr(0, comma)) == "yes") {
    return sentence.substr(0, comma);
  }
  for (const absl::string_view verb : {" is ", " are "}) {
    const size_t at = sentence.rfind(verb);
    if (at != absl::string_view::npos) return sentence.substr(at + verb.size());
  }
  return "";
}

// Whether a text is a question, whatever markup is around it.
bool Asks(absl::string_view text) {
  const size_t last = text.find_last_not_of(" \t\r\n\\.*_$`\"')]}");
  text = text.substr(0, last == absl::string_view::npos ? 0 : last + 1);
  return absl::EndsWith(text, "?") || absl::EndsWith(text, "？");
}

// The base of the first logarithm that has one; null if there is none.
const Node* LogBase(const Node& node) {
  if (node.kind == Kind::kFunction && node.function == Function::kLogBase) return node.children[1];
  for (const Node* child : node.children) {
    if (const Node* base = LogBase(*child)) return base;
  }
  return nullptr;
}

}  // namespace

Finding Judge::Against(absl::string_view gold_text) {
  const Extraction gold_extraction = ExtractGold(gold_text);
  const Answer gold = Combined(gold_extraction.answers);
  if (gold.text.empty()) return {Outcome::kError, "unparsable_gold", "the gold is empty"};
  if (gold.tree != nullptr && IsUndefined(*gold.tree, &budget_)) {
    return {Outcome::kError, "unparsable_gold",
            absl::StrCat("the gold has no value: ", gold.text.substr(0, kMaxQuoted))};
  }
  if (answer_.text.empty())
    return {Outcome::kUnparsable, "no_answer", "the response gives no answer"};
  if ((Asks(answer_.text) || Asks(extraction_.sentence)) && !Asks(gold.text))
    return {Outcome::kUnparsable, "unparsable_answer", "the response asks, it does not answer"};
  const bool wordy = IsWordy(gold.text);
  if (wordy && (SameText(gold.text, answer_.text) || SameText(gold.text, Predicate(answer_.text))))
    return {Outcome::kCorrect, "", "the same words"};
  if (const char letter = ChoiceOf(gold.text)) {
    if (ChoiceInAnswer(answer_.text) == letter || Chosen() == letter)
      return {Outcome::kCorrect, "", "the same choice"};
  }
  if (SameWithoutLabels(gold)) return {Outcome::kCorrect, "", "the same value"};
  if (gold.tree != nullptr && answer_.tree != nullptr && !(wordy && HasLongWord(gold.text)))
    return Compare(gold);
  if (SameSpelling(gold.text, answer_.text)) return {Outcome::kCorrect, "", "spelled the same"};
  if (answer_.failure == ParseFailure::kOverBudget)
    return {Outcome::kTimeout, "over_budget", "the answer is too long or too deep"};
  if (wordy && IsTruthValue(gold.text) && !IsWordy(answer_.text)) {
    return {Outcome::kUnparsable, "unparsable_answer", "a statement, not whether it is true"};
  }
  if (wordy) return {Outcome::kWrong, "", "other words"};
  if (SameText(gold.text, answer_.text)) return {Outcome::kCorrect, "", "the same words"};
  // "June 20": the whole sentence, not only its number.
  if (gold.tree == nullptr && SameText(gold.text, extraction_.sentence))
    return {Outcome::kCorrect, "", "the same words"};
  if (gold.tree == nullptr) {
    return {Outcome::kError, "unparsable_gold",
            absl::StrCat("the gold can't be read: ", gold.text.substr(0, kMaxQuoted))};
  }
  return {Outcome::kUnparsable, "unparsable_answer", "the answer can't be read as mathematics"};
}

// (C) 5: a choice with its label.
bool Judge::SameWithoutLabels(const Answer& gold) {
  const absl::string_view asked = WithoutLabel(gold.text), given = WithoutLabel(answer_.text);
  if (asked.size() == gold.text.size() && given.size() == answer_.text.size()) return false;
  const Answer bare_gold = ReadOne(asked), bare_answer = ReadOne(given);
  return bare_gold.tree != nullptr && bare_answer.tree != nullptr &&
         Equivalence(&arena_, &budget_).Same(*bare_gold.tree, *bare_answer.tree) == Truth::kYes;
}

Finding Judge::Compare(const Answer& gold) {
  switch (Equivalence(&arena_, &budget_).Same(*gold.tree, *answer_.tree)) {
    case Truth::kYes:
      return {Outcome::kCorrect, "", "the same value"};
    case Truth::kUnknown:
      if (SameSpelling(gold.text, answer_.text)) return {Outcome::kCorrect, "", "spelled the same"};
      return {Outcome::kTimeout, "over_budget", "not decided within the budget"};
    case Truth::kNo:
      break;
  }
  if (SameSpelling(gold.text, answer_.text)) return {Outcome::kCorrect, "", "spelled the same"};
  if (Contains(*answer_.tree, Kind::kUnevaluated) ||
      (Contains(*answer_.tree, Kind::kApply) && !Contains(*gold.tree, Kind::kApply))) {
    return {Outcome::kUnparsable, "unparsable_answer", "the answer is left unevaluated"};
  }
  if (Contains(*gold.tree, Kind::kUnevaluated)) {
    return {Outcome::kError, "unparsable_gold",
            "the gold is left unevaluated; only what is spelled alike can be told equal"};
  }
  if (SameInSomeBase(*gold.tree, *answer_.tree)) {
    return {Outcome::kUnparsable, "unparsable_answer", "a \\log has no base"};
  }
  return {Outcome::kWrong, "", "another value"};
}

// \log x and \log_2 x: whether they are the same if \log is to that base.
bool Judge::SameInSomeBase(const Node& gold, const Node& answer) {
  const Node* answer_base = LogBase(answer);
  const Node* gold_base = answer_base == nullptr ? LogBase(gold) : nullptr;
  const Node* base = answer_base != nullptr ? answer_base : gold_base;
  if (base == nullptr) return false;
  const Node* based = WithLogBase(answer_base != nullptr ? gold : answer, base);
  Equivalence equivalence(&arena_, &budget_);
  return based != nullptr &&
         (answer_base != nullptr ? equivalence.Same(*based, answer)
                                 : equivalence.Same(gold, *based)) == Truth::kYes;
}

// With \log to that base; null if there is none without a base.
const Node* Judge::WithLogBase(const Node& node, const Node* base) {
  Node copy = node;
  bool changed = false;
  for (const Node*& child : copy.children) {
    if (const Node* based = WithLogBase(*child, base)) {
      child = based;
      changed = true;
    }
  }
  if (copy.kind == Kind::kFunction && copy.function == Function::kLog) {
    copy.function = Function::kLogBase;
    copy.children.push_back(base);
    changed = true;
  }
  return changed ? arena_.Keep(std::move(copy)) : nullptr;
}

Answer Judge::ReadOne(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  Answer answer;
  answer.text = std::string(text);
  const std::optional<std::string> words =
      text.size() <= kMaxQuoted ? WordsAsMath(text) : std::nullopt;
  ParseResult parsed = ParseMath(words ? absl::string_view(*words) : text, &arena_);
  absl::string_view inner = text;
  for (int i = 0; parsed.tree == nullptr && i < kMaxWrappers && Unwrap(&inner); ++i)
    parsed = ParseMath(inner, &arena_);
  answer.tree = parsed.tree;
  answer.failure = parsed.failure;
  return answer;
}

Answer Judge::Combined(const std::vector<std::string>& texts) {
  if (texts.empty()) return Answer();
  if (texts.size() == 1) return ReadOne(texts[0]);
  std::vector<Answer> different;
  for (const std::string& text : texts) {
    Answer one = ReadOne(text);
    bool known = false;
    for (const Answer& other : different) {
      known = known || SameSpelling(other.text, one.text) ||
              (other.tree != nullptr && one.tree != nullptr &&
               Equivalence(&arena_, &budget_).Same(*other.tree, *one.tree) == Truth::kYes);
    }
    if (!known) different.push_back(std::move(one));
  }
  if (different.size() == 1) return different[0];
  Answer list;
  list.text = absl::StrJoin(different, ", ", [](std::string* out, const Answer& answer) {
    absl::StrAppend(out, answer.text);
  });
  Nodes items;
  for (const Answer& one : different) {
    if (one.tree == nullptr) {
      list.failure = one.failure;
      return list;
    }
    if (one.tree->kind == Kind::kList) {
      items.insert(items.end(), one.tree->children.begin(), one.tree->children.end());
    } else {
      items.push_back(one.tree);
    }
  }
  list.tree = arena_.Make(Kind::kList, std::move(items));
  return list;
}

char Judge::Chosen() const {
  if (extraction_.source != AnswerSource::kPhrase && extraction_.source != AnswerSource::kLastLine)
    return 0;
  // What the sentence names first counts, if it begins with it: "D, it can't be A".
  if (extraction_.source == AnswerSource::kPhrase) {
    const absl::string_view head =
        absl::string_view(extraction_.sentence).substr(0, extraction_.sentence.find(','));
    if (const char letter = ChosenLetter(head)) return letter;
  }
  return ChosenLetter(absl::StrReplaceAll(extraction_.sentence, {{"**", " "}}));
}

}  // namespace ponder::verifier::math
