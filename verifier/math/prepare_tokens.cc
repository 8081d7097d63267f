#include "verifier/math/prepare_tokens.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "verifier/math/names.h"
#include "verifier/math/units.h"

namespace ponder::verifier::math {
namespace {

std::string LettersOf(absl::string_view text) {
  std::string letters;
  for (const char c : text) {
    if (absl::ascii_isalpha(c) || static_cast<signed char>(c) < 0)
      letters.push_back(absl::ascii_tolower(c));
  }
  return letters;
}

bool IsAlphabetic(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), absl::ascii_isalpha);
}

// The command that a plain word stands for, or "".
absl::string_view CommandOf(absl::string_view word) {
  if (FunctionNamed(word) || IsGreek(word) || IsUnevaluatedFunction(word) || word == "sqrt" ||
      word == "cbrt" || word == "pi" || word == "infty" || word == "binom") {
    if (word == "inf") return "infty";
    return word;
  }
  if (word == "infinity" || word == "Infinity" || word == "oo") return "infty";
  if (word == "lcm" || word == "mod") return word;
  if (word == "union") return "cup";
  if (word == "pm") return "pm";
  return "";
}

// Displays of several lines, which mean no more than their lines: "x &= 1 + 2 \\\\ &= 3" is a
// chain, "x = 1 \\\\ y = 2" a list. Cases with columns are piecewise functions and stay as they
// are.
bool IsDisplay(absl::string_view environment) {
  static constexpr absl::string_view kDisplays[] = {
      "aligned", "align",    "align*",   "alignedat", "split",    "gather",
      "gather*", "gathered", "eqnarray", "eqnarray*", "equation", "equation*"};
  return std::find(std::begin(kDisplays), std::end(kDisplays), environment) != std::end(kDisplays);
}

std::vector<Token> FlattenDisplays(std::vector<Token> tokens) {
  const auto environment = [](const Token& token, absl::string_view prefix) {
    absl::string_view name = token.type == TokenType::kCommand ? token.text : absl::string_view();
    return absl::ConsumePrefix(&name, prefix) ? name : absl::string_view();
  };
  std::vector<Token> flat;
  flat.reserve(tokens.size());
  std::string inside;  // the display at hand
  for (size_t i = 0; i < tokens.size(); ++i) {
    Token& token = tokens[i];
    const absl::string_view begins = environment(token, "begin:");
    if (inside.empty() && !begins.empty()) {
      bool columns = false;
      for (size_t j = i; begins == "cases" && j < tokens.size() && !columns; ++j)
        columns = tokens[j].IsPunct('&');
      if (IsDisplay(begins) || (begins == "cases" && !columns)) {
        inside = std::string(begins);
        continue;
      }
    } else if (!inside.empty() && environment(token, "end:") == inside) {
      inside.clear();
      continue;
    } else if (!inside.empty() && token.IsPunct('&')) {
      continue;
    } else if (!inside.empty() && token.IsPunct('\n')) {
      size_t next = i + 1;
      while (next < tokens.size() && (tokens[next].IsPunct('&') || tokens[next].IsPunct('\n')))
        ++next;
      const bool goes_on = next == tokens.size() || tokens[next].type == TokenType::kRelation ||
                           tokens[next].type == TokenType::kEnd ||
                           !environment(tokens[next], "end:").empty() || flat.empty() ||
                           flat.back().IsPunct(',');
      if (goes_on) continue;
      token.symbol = ',';
      token.text = ",";
    }
    flat.push_back(std::move(token));
  }
  return flat;
}

class Preparer {
 public:
  explicit Preparer(std::vector<Token> tokens) : in_(std::move(tokens)) {
    out_.reserve(in_.size());
  }

  std::vector<Token> Run() {
    for (Token& token : in_) {
      if (token.type == TokenType::kText) {
        Text(std::move(token));
      } else if (token.type == TokenType::kWord &&
                 (token.text.size() > 1 && static_cast<signed char>(token.text[0]) > 0)) {
        Word(std::move(token));
      } else if (token.type == TokenType::kWord && AfterQuantity() && IsUnitWord(token.text) &&
                 (token.roman || units_ || (token.text == "m" && NextIsPower(token)))) {
        token.type = TokenType::kText;  // 5\mathrm{m}, 10m^2, 5 km/h
        units_ = true;
        out_.push_back(std::move(token));
      } else {
        if (!KeepsUnits(token)) units_ = false;
        out_.push_back(std::move(token));
      }
    }
    return std::move(out_);
  }

 private:
  // Whether what was read so far can be followed by a unit.
  bool AfterQuantity() const {
    if (units_) return true;
    if (out_.empty()) return false;
    const Token& last = out_.back();
    return last.type == TokenType::kNumber || last.IsPunct('}') || last.IsPunct(')') ||
           last.IsCommand("pi");
  }

  bool KeepsUnits(const Token& token) const {
    return units_ &&
           (token.IsPunct('/') || token.IsPunct('*') || token.IsPunct('^') || token.IsPunct('{') ||
            token.IsPunct('}') || token.IsPunct('-') || token.type == TokenType::kNumber);
  }

  bool NextIsPower(const Token& token) const {
    const Token* next = &token + 1;  // there is always a kEnd
    return next->IsPunct('^');
  }

  void EmitText(Token token, absl::string_view text) {
    token.type = TokenType::kText;
    token.text = std::string(text);
    out_.push_back(std::move(token));
  }

  void Text(Token token) {
    const absl::string_view connective = Connective(token.text);
    if (!connective.empty()) {
      units_ = false;
      return EmitText(std::move(token), connective);
    }
    if (AfterQuantity() && (IsUnitWord(token.text) || HalfOfDay(token.text))) {
      units_ = true;
      out_.push_back(std::move(token));
      return;
    }
    if (token.roman && IsAlphabetic(token.text)) return Word(std::move(token));
    units_ = true;  // a noun: 5\text{ apples}
    out_.push_back(std::move(token));
  }

  void Word(Token token) {
    const std::string word = token.text;
    const std::string lower = absl::AsciiStrToLower(word);
    if (AfterQuantity() &&
        (IsUnitWord(word) || IsUnitWord(lower) || HalfOfDay(word) || lower == "pct" ||
         lower == "percent" || lower == "degrees" || lower == "degree" || lower == "deg" ||
         lower == "units" || lower == "unit")) {
      units_ = true;
      return EmitText(std::move(token), word);
    }
    units_ = false;
    if (lower == "and" || lower == "or") return EmitText(std::move(token), lower);
    if (word == "in") {
      token.type = TokenType::kRelation;
      token.symbol = 'i';
      out_.push_back(std::move(token));
      return;
    }
    const absl::string_view command = CommandOf(word);
    if (!command.empty()) {
      token.type = TokenType::kCommand;
      token.text = std::string(command);
      out_.push_back(std::move(token));
      return;
    }
    // sinx
    const absl::string_view stem = absl::string_view(word).substr(0, word.size() - 1);
    if (FunctionNamed(stem) || stem == "sqrt" || (stem == "pi")) {
      Token head = token;
      head.type = TokenType::kCommand;
      head.text = std::string(stem);
      out_.push_back(std::move(head));
      Letters(std::move(token), word.substr(word.size() - 1));
      return;
    }
    const bool capitals = std::all_of(word.begin(), word.end(), absl::ascii_isupper);
    if (word.size() <= 3 || (capitals && word.size() <= 4)) return Letters(std::move(token), word);
    units_ = true;
    EmitText(std::move(token), word);
  }

  void Letters(Token token, absl::string_view letters) {
    for (const char c : letters) {
      Token letter;
      letter.type = TokenType::kWord;
      letter.text = std::string(1, c);
      letter.space_before = token.space_before;
      token.space_before = false;
      out_.push_back(std::move(letter));
    }
  }

  std::vector<Token> in_;
  std::vector<Token> out_;
  bool units_ = false;  // inside a unit, e.g. after "5 km"
};

}  // namespace

absl::string_view Connective(absl::string_view text) {
  const std::string letters = LettersOf(text);
  if (letters == "and" || letters == "和" || letters == "且" || letters == "与") return "and";
  if (letters == "or" || letters == "或" || letters == "或者") return "or";
  return "";
}

char HalfOfDay(absl::string_view text) {
  const std::string letters = LettersOf(text);
  return letters == "am" ? 'a' : letters == "pm" ? 'p' : 0;
}

std::vector<Token> PrepareTokens(std::vector<Token> tokens) {
  return Preparer(FlattenDisplays(std::move(tokens))).Run();
}

}  // namespace ponder::verifier::math
