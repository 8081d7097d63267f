#include "verifier/choice/letters.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "verifier/math/math_grader.h"
#include "verifier/math/text_answer.h"

namespace ponder::verifier::choice {
namespace {

constexpr char kLastUnknown = 'J';      // of the letters, where the options aren't known
constexpr size_t kMaxSentence = 300;    // bytes of a sentence that may name a letter
constexpr size_t kMaxOptionText = 512;  // bytes of an answer that may be an option's text

bool IsWordByte(char c) { return absl::ascii_isalnum(c) || static_cast<unsigned char>(c) >= 0x80; }

// A word in any case, if it ends where a word ends.
bool EatWord(absl::string_view* text, absl::string_view word) {
  if (!absl::StartsWithIgnoreCase(*text, word)) return false;
  if (text->size() > word.size() && IsWordByte((*text)[word.size()])) return false;
  text->remove_prefix(word.size());
  return true;
}

void EatSpaceAnd(absl::string_view* text, absl::string_view marks) {
  while (!text->empty() &&
         (absl::ascii_isspace((*text)[0]) || marks.find((*text)[0]) != absl::string_view::npos)) {
    text->remove_prefix(1);
  }
}

// "The correct answer is option", "选".
absl::string_view WithoutOpening(absl::string_view text) {
  for (bool eaten = true; eaten;) {
    EatSpaceAnd(&text, ":*");
    eaten = false;
    for (const absl::string_view word : {"the", "correct", "final", "answer", "answers", "option",
                                         "options", "choice", "choices", "letter", "is", "are"}) {
      eaten = eaten || EatWord(&text, word);
    }
    for (const absl::string_view word : {"选项", "选择", "选", "答案", "是", "为", "："}) {
      eaten = eaten || absl::ConsumePrefix(&text, word);
    }
  }
  return text;
}

Chosen Of(std::string letters) {
  std::sort(letters.begin(), letters.end());
  letters.erase(std::unique(letters.begin(), letters.end()), letters.end());
  Chosen chosen;
  chosen.letters = std::move(letters);
  return chosen;
}

// A labelled letter at the start: "B. ", "(B) ", "B: ", "B because". Leaves what follows.
char EatLabel(absl::string_view* text, char last) {
  absl::string_view rest = *text;
  const bool open = absl::ConsumePrefix(&rest, "(") || absl::ConsumePrefix(&rest, "**");
  if (rest.empty() || rest[0] < 'A' || rest[0] > last) return 0;
  const char letter = rest[0];
  rest.remove_prefix(1);
  const bool closed = absl::ConsumePrefix(&rest, ")") || absl::ConsumePrefix(&rest, "**");
  if (open != closed && open) return 0;
  const absl::string_view after = absl::StripLeadingAsciiWhitespace(rest);
  const bool reasons = absl::StartsWith(after, "because") || absl::StartsWith(after, "since");
  const bool marked =
      !rest.empty() && absl::string_view(".:,;-").find(rest[0]) != absl::string_view::npos;
  if (!closed && !marked && !reasons) return 0;
  EatSpaceAnd(&rest, ".:,;-*");
  *text = rest;
  return letter;
}

// The one option that says the same as `text`; 0 if none or several do.
char OptionOf(absl::string_view text, const std::vector<std::string>& options) {
  if (text.empty() || text.size() > kMaxOptionText) return 0;
  char found = 0;
  for (const bool by_value : {false, true}) {
    for (size_t i = 0; i < options.size() && i < 26; ++i) {
      const bool same =
          by_value ? MathGrader()
                             .Grade({options[i], absl::StrCat("\\boxed{", text, "}")},
                                    absl::InfiniteFuture())
                             .outcome == Verdict::Outcome::kCorrect
                   : math::SameSpelling(options[i], text) || math::SameText(options[i], text);
      if (!same) continue;
      if (found != 0) return 0;
      found = static_cast<char>('A' + i);
    }
    if (found != 0) break;
  }
  return found;
}

bool SpelledOut(absl::string_view text, const std::vector<std::string>& options) {
  return std::any_of(options.begin(), options.end(),
                     [&](const std::string& option) { return math::SameSpelling(option, text); });
}

// "both A and B", "A or B" within a sentence.
bool JoinsLetters(absl::string_view sentence, char last) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(sentence, absl::ByAnyChar(" .,;()"), absl::SkipEmpty());
  const auto is_letter = [last](absl::string_view word) {
    return word.size() == 1 && word[0] >= 'A' && word[0] <= last;
  };
  for (size_t i = 1; i + 1 < words.size(); ++i) {
    if ((words[i] == "and" || words[i] == "or") && is_letter(words[i - 1]) &&
        is_letter(words[i + 1]))
      return true;
  }
  return false;
}

}  // namespace

Chosen ReadLetters(absl::string_view text, char last) {
  text = absl::StripAsciiWhitespace(text);
  if (text.size() > 128) return {};
  std::string letters;
  bool hedged = false;
  const bool alone = std::count_if(text.begin(), text.end(), absl::ascii_isalnum) == 1;
  while (true) {
    EatSpaceAnd(&text, "()[]{}.,;:&/+\"'`*");
    if (absl::ConsumePrefix(&text, "、") || absl::ConsumePrefix(&text, "，") ||
        absl::ConsumePrefix(&text, "。") || absl::ConsumePrefix(&text, "和"))
      continue;
    if (text.empty()) break;
    if (!letters.empty() && EatWord(&text, "and")) continue;
    if (!letters.empty() && (EatWord(&text, "or") || absl::ConsumePrefix(&text, "或"))) {
      hedged = true;
      continue;
    }
    if (!absl::ascii_isalpha(text[0])) return {};
    for (; !text.empty() && absl::ascii_isalnum(text[0]); text.remove_prefix(1)) {
      const char letter = alone ? absl::ascii_toupper(text[0]) : text[0];
      if (letter < 'A' || letter > last) return {};
      letters.push_back(letter);
    }
  }
  Chosen chosen = Of(letters);
  chosen.hedged = hedged;
  return chosen;
}

Chosen ReadChoice(absl::string_view answer, const std::vector<std::string>& options) {
  const char last = options.empty()
                        ? kLastUnknown
                        : static_cast<char>('A' + std::min<size_t>(options.size(), 26) - 1);
  const absl::string_view text = absl::StripAsciiWhitespace(answer);
  // The text of an option first: it may begin like a letter, or be one.
  const char whole = OptionOf(text, options);
  absl::string_view rest = absl::StripAsciiWhitespace(WithoutOpening(text));
  const Chosen letters = ReadLetters(rest, last);
  if (!letters.letters.empty() && (whole == 0 || letters.letters == std::string(1, whole))) {
    return letters;
  }
  const char label = whole != 0 && SpelledOut(text, options) ? 0 : EatLabel(&rest, last);
  if (label != 0) {
    const char other = OptionOf(absl::StripAsciiWhitespace(rest), options);
    const bool goes_on =
        EatWord(&rest, "or") || EatWord(&rest, "and") || EatLabel(&rest, last) != 0;
    Chosen chosen = Of(std::string(1, label));
    chosen.hedged = goes_on || (other != 0 && other != label);
    return chosen;
  }
  if (whole != 0) return Of(std::string(1, whole));
  if (text.size() > kMaxSentence || absl::StrContains(text, "不") || JoinsLetters(text, last))
    return {};
  const char named = math::ChosenLetter(text);
  if (named < 'A' || named > last) return {};
  Chosen chosen = Of(std::string(1, named));
  chosen.by_sentence = true;
  return chosen;
}

}  // namespace ponder::verifier::choice
