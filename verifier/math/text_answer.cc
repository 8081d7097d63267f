#include "verifier/math/text_answer.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "verifier/math/names.h"
#include "verifier/math/unicode.h"

namespace ponder::verifier::math {
namespace {

bool IsLetter(char c) { return absl::ascii_isalpha(c) || static_cast<signed char>(c) < 0; }

// Without the commands that only change how words look; \% and the like lose their backslash, other
// commands keep it.
std::string WithoutFonts(absl::string_view text) {
  static constexpr absl::string_view kFonts[] = {
      "text",   "textbf", "textit",       "textrm",     "mbox", "mathrm",
      "mathbf", "mathit", "mathsf",       "textnormal", "hbox", "emph",
      "left",   "right",  "displaystyle", "quad",       "boxed"};
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out.push_back(text[i]);
      continue;
    }
    size_t end = i + 1;
    while (end < text.size() && absl::ascii_isalpha(text[end])) ++end;
    const absl::string_view name = text.substr(i + 1, end - i - 1);
    if (name.empty()) {
      out.push_back(' ');  // \, \; \\ and escaped characters
      const bool symbol = end < text.size() && absl::ascii_ispunct(text[end]) &&
                          !absl::StrContains(",;:!()[]\\ ", std::string(1, text[end]));
      i = symbol ? end - 1 : end;
    } else if (std::find(std::begin(kFonts), std::end(kFonts), name) != std::end(kFonts)) {
      i = end - 1;
    } else {
      absl::StrAppend(&out, "\\", name);
      i = end - 1;
    }
  }
  return out;
}

std::vector<std::string> Pieces(absl::string_view text) {
  std::vector<std::string> pieces;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::string words = absl::StrReplaceAll(NormalText(part), {{" and ", ","}});
    for (const absl::string_view piece : absl::StrSplit(words, ',')) {
      const absl::string_view bare = absl::StripPrefix(piece, "and ");
      if (!bare.empty()) pieces.emplace_back(bare);
    }
  }
  std::sort(pieces.begin(), pieces.end());
  return pieces;
}

}  // namespace

std::string NormalText(absl::string_view text) {
  const std::string plain = WithoutFonts(ToLatex(text));
  std::vector<std::string> words;
  std::string word;
  const auto finish = [&] {
    if (!word.empty() && word != "a" && word != "an" && word != "the") words.push_back(word);
    word.clear();
  };
  for (size_t i = 0; i < plain.size(); ++i) {
    const char c = plain[i];
    const bool between_letters =
        i > 0 && i + 1 < plain.size() && IsLetter(plain[i - 1]) && IsLetter(plain[i + 1]);
    if (absl::ascii_isspace(c) || c == '~' || (c == '-' && between_letters)) {
      finish();
    } else if (absl::StrContains("{}$*\"'`!?;:,()", std::string(1, c)) ||
               (c == '.' && !(i + 1 < plain.size() && absl::ascii_isdigit(plain[i + 1])))) {
      if (c == ',' || c == ';') finish();
    } else {
      word.push_back(absl::ascii_tolower(c));
    }
  }
  finish();
  if (words.empty() && absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(plain), "a")) return "a";
  return absl::StrJoin(words, " ");
}

bool SameText(absl::string_view gold, absl::string_view answer) {
  const std::string a = NormalText(gold), b = NormalText(answer);
  if (a.empty()) return false;
  if (a == b) return true;
  const std::vector<std::string> pieces = Pieces(gold);
  return pieces.size() > 1 && pieces == Pieces(answer);
}

bool SameSpelling(absl::string_view gold, absl::string_view answer) {
  const auto spelling = [](absl::string_view text) {
    std::string plain = absl::StrReplaceAll(ToLatex(text), {{"\\left", ""},
                                                            {"\\right", ""},
                                                            {"\\,", ""},
                                                            {"\\!", ""},
                                                            {"\\;", " "},
                                                            {"\\ ", " "},
                                                            {"\\(", ""},
                                                            {"\\)", ""},
                                                            {"\\dfrac", "\\frac"},
                                                            {"\\tfrac", "\\frac"},
                                                            {"$", ""},
                                                            {"~", " "}});
    std::string packed;
    bool gap = false;
    for (const char c : plain) {
      if (absl::ascii_isspace(c)) {
        gap = true;
        continue;
      }
      // "1 2" is not spelled like "12".
      if (gap && absl::ascii_isdigit(c) && !packed.empty() && absl::ascii_isdigit(packed.back()))
        packed.push_back(' ');
      packed.push_back(c);
      gap = false;
    }
    return std::string(absl::StripSuffix(packed, "."));
  };
  const std::string a = spelling(gold);
  const bool says_something = std::any_of(a.begin(), a.end(), [](char c) {
    return absl::ascii_isalnum(c) || static_cast<signed char>(c) < 0;
  });
  return says_something && a == spelling(answer);
}

bool IsWordy(absl::string_view text) {
  const std::string plain = WithoutFonts(ToLatex(text));
  size_t longest = 0, run = 0;
  for (const char c : plain) {
    run = IsLetter(c) ? run + 1 : 0;
    longest = std::max(longest, run);
    if (!IsLetter(c) && !absl::ascii_isspace(c) &&
        !absl::StrContains("{}$*\"'`!?;:,.()-", std::string(1, c)))
      return false;
  }
  if (longest < 2) return false;
  const std::string normal = NormalText(text);
  return !FunctionNamed(normal) && normal != "pi" && normal != "infinity" && !IsGreek(normal);
}

namespace {

// Whether another letter of a choice follows: "B, C", "or (B)", "and D" behind the first one.
bool NamesAnother(absl::string_view rest, char letter) {
  const size_t start = [&] {
    size_t i = 0;
    for (;;) {
      while (i < rest.size() && absl::StrContains(" .,;:()[]/&-", rest.substr(i, 1))) ++i;
      const absl::string_view word = rest.substr(i, 3);
      if (word == "or " || word == "or(") {
        i += 2;
      } else if (absl::StartsWith(rest.substr(i), "and ") ||
                 absl::StartsWith(rest.substr(i), "and(")) {
        i += 3;
      } else {
        return i;
      }
    }
  }();
  return start < rest.size() && absl::ascii_isupper(rest[start]) && rest[start] != letter &&
         (start + 1 == rest.size() || absl::StrContains(" .,;:()[]/&-", rest.substr(start + 1, 1)));
}

}  // namespace

char ChoiceOf(absl::string_view text) {
  std::string plain = WithoutFonts(ToLatex(text));
  for (char& c : plain) {
    if (absl::StrContains("{}$*~", std::string(1, c))) c = ' ';
  }
  absl::string_view rest = absl::StripAsciiWhitespace(plain);
  const bool bracket = absl::ConsumePrefix(&rest, "(") || absl::ConsumePrefix(&rest, "[");
  rest = absl::StripLeadingAsciiWhitespace(rest);
  if (rest.empty() || !absl::ascii_isupper(rest[0])) return 0;
  const char letter = rest[0];
  rest.remove_prefix(1);
  if (rest.empty()) return bracket ? 0 : letter;
  if (bracket) {
    rest = absl::StripLeadingAsciiWhitespace(rest);
    return (absl::StartsWith(rest, ")") || absl::StartsWith(rest, "]")) &&
                   !NamesAnother(rest.substr(1), letter)
               ? letter
               : 0;
  }
  if (NamesAnother(rest, letter)) return 0;
  if (absl::StrContains(".):,", rest.substr(0, 1))) return letter;
  // "C Cecile", but no "A valid answer"
  return rest.size() > 1 && rest[0] == ' ' && absl::ascii_isupper(rest[1]) ? letter : 0;
}

char ChosenLetter(absl::string_view sentence) {
  char chosen = 0;
  bool negated = false;
  for (size_t i = 0; i < sentence.size(); ++i) {
    const absl::string_view rest = sentence.substr(i);
    for (const absl::string_view no : {"not ", "n't ", "non ", "不是", "nor "}) {
      if (absl::StartsWithIgnoreCase(rest, no)) negated = true;
    }
    if (absl::StrContains(",.;", rest.substr(0, 1))) negated = false;
    const bool alone =
        absl::ascii_isupper(rest[0]) && (i == 0 || !absl::ascii_isalnum(sentence[i - 1])) &&
        (rest.size() == 1 || !(absl::ascii_isalnum(rest[1]) || rest[1] == '\'' || rest[1] == '*'));
    if (!alone || rest[0] == 'I') continue;
    // The article: "A bird".
    if (rest[0] == 'A' && rest.size() > 2 && rest[1] == ' ' && absl::ascii_islower(rest[2]))
      continue;
    if (negated) continue;
    if (chosen != 0 && chosen != rest[0]) return 0;
    chosen = rest[0];
  }
  return chosen;
}

namespace {

// "three quarters", "half"; "" for other words.
std::string FractionNamed(absl::string_view words) {
  static constexpr struct {
    absl::string_view one, many;
    int denominator;
  } kParts[] = {{"half", "halves", 2},      {"third", "thirds", 3},   {"quarter", "quarters", 4},
                {"fourth", "fourths", 4},   {"fifth", "fifths", 5},   {"sixth", "sixths", 6},
                {"seventh", "sevenths", 7}, {"eighth", "eighths", 8}, {"ninth", "ninths", 9},
                {"tenth", "tenths", 10}};
  const size_t space = words.rfind(' ');
  const absl::string_view part = space == absl::string_view::npos ? words : words.substr(space + 1);
  for (const auto& known : kParts) {
    if (part != known.one && part != known.many) continue;
    if (space == absl::string_view::npos)
      return part == "half" ? "1/2" : "";  // "third" is an order
    const std::optional<long> number = NumberNamed(words.substr(0, space));
    if (!number || (*number == 1) != (part == known.one)) return "";
    return absl::StrCat(*number, "/", known.denominator);
  }
  return "";
}

}  // namespace

std::optional<std::string> WordsAsMath(absl::string_view text) {
  const std::string normal = NormalText(text);
  absl::string_view words = normal;
  absl::ConsumePrefix(&words, "there is ") || absl::ConsumePrefix(&words, "there are ");
  absl::string_view magnitude = words;
  if (absl::ConsumePrefix(&magnitude, "negative ") || absl::ConsumePrefix(&magnitude, "minus ")) {
    if (const std::optional<long> number = NumberNamed(magnitude)) return absl::StrCat(-*number);
  }
  if (const std::string fraction = FractionNamed(words); !fraction.empty()) return fraction;
  if (const std::optional<long> number = NumberNamed(words)) return absl::StrCat(*number);
  for (const absl::string_view none :
       {"no solution", "no solutions", "no real solution", "no real solutions", "empty set", "none",
        "no solution \\emptyset"}) {
    if (words == none) return "\\emptyset";
  }
  for (const absl::string_view all : {"all real numbers", "all reals", "all real"}) {
    if (words == all) return "\\mathbb{R}";
  }
  return std::nullopt;
}

}  // namespace ponder::verifier::math
