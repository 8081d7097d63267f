#include "verifier/math/prose.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "verifier/math/names.h"
#include "verifier/math/unicode.h"
#include "verifier/math/units.h"

namespace ponder::verifier::math {
namespace {

constexpr absl::string_view kStopWords[] = {
    "is",   "so",   "it",   "the",  "of",  "to",   "we",  "he",  "she",  "are", "was",
    "were", "if",   "as",   "by",   "at",  "an",   "not", "has", "have", "had", "for",
    "its",  "you",  "get",  "can",  "all", "be",   "but", "my",  "our",  "on",  "this",
    "that", "thus", "then", "will", "do",  "does", "no",  "est", "de",   "la",  "le",
    "un",   "une",  "das",  "ist",  "der", "die",  "el",  "es"};

bool IsStopWord(absl::string_view word) {
  return std::find(std::begin(kStopWords), std::end(kStopWords), absl::AsciiStrToLower(word)) !=
         std::end(kStopWords);
}

size_t WordEnd(absl::string_view text, size_t i) {
  while (i < text.size() && absl::ascii_isalpha(text[i])) ++i;
  return i;
}

// Walks over a sentence, keeping the last run.
class Walker {
 public:
  explicit Walker(absl::string_view text) : text_(text) {}

  std::string Last() {
    size_t i = 0;
    while (i < text_.size()) i = Step(i);
    Close(text_.size());
    return best_;
  }

  std::string Leading() {
    size_t i = 0;
    while (i < text_.size() && best_.empty() && (i == 0 || start_ == 0)) i = Step(i);
    if (start_ == 0) Close(text_.size());
    return best_;
  }

 private:
  void Open(size_t i) {
    if (start_ == kNone) start_ = i;
  }

  size_t Step(size_t i) {
    const char c = text_[i];
    if (absl::ascii_isspace(c)) return i + 1;
    if (absl::ascii_isdigit(c)) {
      Open(i);
      solid_ = after_number_ = true;
      return i + 1;
    }
    if (c == '\\') {
      const size_t end = WordEnd(text_, i + 1);
      Open(i);
      if (end == i + 1) return i + 2;
      solid_ = true;
      after_number_ = true;
      const absl::string_view name = text_.substr(i + 1, end - i - 1);
      if (name == "begin") {
        const size_t close = text_.rfind("\\end{");
        return close == absl::string_view::npos || close < end ? end : GroupEnd(close + 4);
      }
      if (name == "text" || name == "mathrm" || name == "mbox" || name == "operatorname" ||
          name == "mathit" || name == "textbf") {
        return GroupEnd(end);
      }
      return end;
    }
    if (absl::ascii_isalpha(c)) return Word(i);
    if (static_cast<signed char>(c) < 0) {
      Close(i);
      return i + 1;
    }
    if (c == '\'' && i > 0 && absl::ascii_isalpha(text_[i - 1])) {
      // "isn't", "it's": part of a word
      const size_t end = WordEnd(text_, i + 1);
      Close(i);
      denied_ = text_[i - 1] == 'n' && text_.substr(i, end - i) == "'t";
      return end;
    }
    if (absl::StrContains("+-*/=<>^_(){}[].,:;!%|&~'$", text_.substr(i, 1))) {
      Open(i);
      if (c == '_' && i + 1 < text_.size() && text_[i + 1] == '{') return GroupEnd(i + 1);
      return i + 1;
    }
    Close(i);
    return i + 1;
  }

  // Behind the next '}'.
  size_t GroupEnd(size_t i) const {
    const size_t close = text_.find('}', i);
    return close == absl::string_view::npos ? text_.size() : close + 1;
  }

  size_t Word(size_t i) {
    const size_t end = WordEnd(text_, i);
    const absl::string_view word = text_.substr(i, end - i);
    const bool next_is_article = word == "a" || word == "A" || word == "I";
    if (word.size() == 1 && !(next_is_article && start_ == kNone)) {
      Open(i);
    } else if (FunctionNamed(word) || word == "sqrt" || word == "pi" || word == "infinity") {
      Open(i);
      solid_ = true;
    } else if (after_number_ && (word == "or" || word == "and")) {
      // a list, if more follows
    } else if (after_number_ && word != "in" && IsUnitWord(word)) {
      after_number_ = false;
    } else if (after_number_ && (word == "percent" || word == "pct" || word == "degrees")) {
    } else {
      // "1/3, or about 33%": the "or" is no part of what comes first.
      const absl::string_view before = absl::StripTrailingAsciiWhitespace(text_.substr(0, i));
      Close(IsRestated(i + word.size()) ? before.size() - 3 : i);
      denied_ = word == "not" || word == "t" || word == "never";
      return end;
    }
    return end;
  }

  // Whether "or about", "or approximately" stands before: what follows only says again, less
  // exactly, what came first.
  bool IsRestated(size_t start) const {
    absl::string_view before = absl::StripTrailingAsciiWhitespace(text_.substr(0, start));
    bool roughly = false;
    for (const absl::string_view word : {"about", "approximately", "roughly", "around"})
      roughly = roughly || absl::ConsumeSuffix(&before, word);
    return roughly && absl::EndsWith(absl::StripTrailingAsciiWhitespace(before), " or");
  }

  void Close(size_t end) {
    if (start_ == kNone) return;
    const size_t start = start_;
    start_ = kNone;
    const bool solid = std::exchange(solid_, false);
    after_number_ = false;
    if (!solid || (!best_.empty() && IsRestated(start))) return;
    best_ = denied_ ? "" : std::string(Trim(text_.substr(start, end - start)));
    denied_ = false;
  }

  // Without punctuation, a dangling 'and' and letters that belong to the sentence. A dangling 'or'
  // stays: it takes back what is before.
  static absl::string_view Trim(absl::string_view run) {
    for (;;) {
      run = absl::StripAsciiWhitespace(run);
      if (run.empty()) return run;
      const char first = run.front(), last = run.back();
      if (absl::StrContains(",.;:=!*'", run.substr(0, 1)) &&
          !(first == '.' && run.size() > 1 && absl::ascii_isdigit(run[1]))) {
        run.remove_prefix(1);
      } else if (absl::StrContains(",;:=.!*'", run.substr(run.size() - 1))) {
        run.remove_suffix(1);
      } else if (absl::EndsWith(run, " and")) {
        run.remove_suffix(4);
      } else if (run.size() > 2 && absl::ascii_isalpha(last) && run[run.size() - 2] == ' ') {
        run.remove_suffix(2);
      } else if (run.size() > 2 && absl::ascii_isalpha(first) && run[1] == ' ' &&
                 absl::ascii_isdigit(run[2])) {
        run.remove_prefix(2);
      } else if ((first == '(' || first == '[') &&
                 std::count(run.begin(), run.end(), ')') +
                         std::count(run.begin(), run.end(), ']') ==
                     0) {
        run.remove_prefix(1);
      } else if ((last == ')' || last == ']') && std::count(run.begin(), run.end(), '(') +
                                                         std::count(run.begin(), run.end(), '[') ==
                                                     0) {
        run.remove_suffix(1);
      } else {
        return run;
      }
    }
  }

  static constexpr size_t kNone = static_cast<size_t>(-1);
  const absl::string_view text_;
  size_t start_ = kNone;
  bool solid_ = false;  // has a number or a command
  bool after_number_ = false;
  bool denied_ = false;  // the word before is "not"
  std::string best_;
};

bool EndsSentence(absl::string_view text, size_t i) {
  const char c = text[i];
  if (c == '\n') return true;
  if (c != '.' && c != '!' && c != '?') return false;
  return i + 1 == text.size() || absl::ascii_isspace(text[i + 1]);
}

}  // namespace

namespace {

// "negative 3" and "minus 3" are -3.
std::string WithSigns(std::string text) {
  for (const absl::string_view word : {"negative ", "minus ", "Negative ", "Minus "}) {
    for (size_t at = text.find(word.data()); at != std::string::npos;
         at = text.find(word.data(), at + 1)) {
      const size_t after = at + word.size();
      const bool begins = at == 0 || !absl::ascii_isalpha(text[at - 1]);
      const bool number = after < text.size() && (absl::ascii_isdigit(text[after]) ||
                                                  text[after] == '$' || text[after] == '\\');
      if (begins && number) text.replace(at, word.size(), "-");
    }
  }
  return text;
}

}  // namespace

std::string LeadingMathematics(absl::string_view text) {
  const std::string latex = WithSigns(ToLatex(absl::StripAsciiWhitespace(text)));
  return Walker(latex).Leading();
}

std::string LastMathematics(absl::string_view sentence) {
  const std::string latex = WithSigns(ToLatex(sentence));
  return Walker(latex).Last();
}

bool IsProse(absl::string_view text) {
  for (size_t i = 0; i < text.size();) {
    if (!absl::ascii_isalpha(text[i])) {
      i += text[i] == '\\' ? 2 : 1;  // a command is no word
      if (i > 1 && text[i - 2] == '\\') i = WordEnd(text, i);
      continue;
    }
    const size_t end = WordEnd(text, i);
    if (end - i > 1 && IsStopWord(text.substr(i, end - i))) return true;
    i = end;
  }
  return false;
}

absl::string_view EatLastSentence(absl::string_view* text) {
  static constexpr absl::string_view kFullStop = "。";
  *text = absl::StripTrailingAsciiWhitespace(*text);
  size_t i = text->size();
  // The stop at the very end belongs to the sentence.
  if (i > 0) --i;
  while (i > 0 && !EndsSentence(*text, i - 1) &&
         !(i >= kFullStop.size() &&
           text->substr(i - kFullStop.size(), kFullStop.size()) == kFullStop &&
           i < text->size() - 2))
    --i;
  const absl::string_view sentence = text->substr(i);
  *text = text->substr(0, i);
  return absl::StripAsciiWhitespace(sentence);
}

absl::string_view FirstSentence(absl::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (EndsSentence(text, i)) return text.substr(0, i);
  }
  return text;
}

}  // namespace ponder::verifier::math
