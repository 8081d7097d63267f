#include "verifier/math/lexer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "verifier/math/latex_commands.h"
#include "verifier/math/names.h"
#include "verifier/math/unicode.h"

namespace ponder::verifier::math {
namespace {

using absl::ascii_isalpha;
using absl::ascii_isdigit;
using absl::ascii_isspace;

constexpr size_t kMaxRowGap = 16;
constexpr size_t kMaxCharDigits = 6;

class Lexer {
 public:
  explicit Lexer(absl::string_view text) : text_(text) {}

  std::optional<std::vector<Token>> Run() {
    while (Next()) {
    }
    if (failed_) return std::nullopt;
    // Bold around the whole: ** ... **
    if (tokens_.size() >= 2 && tokens_.front().IsPunct('^') && tokens_.back().IsPunct('^')) {
      tokens_.erase(tokens_.begin());
      tokens_.pop_back();
    }
    tokens_.emplace_back();
    return std::move(tokens_);
  }

 private:
  char At(size_t i) const { return i < text_.size() ? text_[i] : 0; }
  absl::string_view Rest(size_t i) const { return text_.substr(std::min(i, text_.size())); }

  Token& Emit(TokenType type, char symbol = 0) {
    Token token;
    token.type = type;
    token.symbol = symbol;
    token.space_before = space_;
    space_ = false;
    tokens_.push_back(std::move(token));
    return tokens_.back();
  }

  // Reads one token, or something that makes none. False at the end.
  bool Next() {
    if (at_ >= text_.size() || failed_) return false;
    const char c = text_[at_];
    if (ascii_isspace(c) || c == '~' || c == '"' || c == '`') {
      space_ = true;
      ++at_;
    } else if (c == '\\') {
      Command();
    } else if (ascii_isdigit(c) || (c == '.' && ascii_isdigit(At(at_ + 1)))) {
      Number();
    } else if (HalfOfDayWithPoints()) {
      Emit(TokenType::kText).text = c == 'p' || c == 'P' ? "pm" : "am";
      at_ += 3 + (At(at_ + 3) == '.');
    } else if (ascii_isalpha(c)) {
      size_t end = at_;
      while (ascii_isalpha(At(end))) ++end;
      const absl::string_view word = text_.substr(at_, end - at_);
      // bar{x}: an accent that lost its backslash.
      const bool accent = At(end) == '{' && IsAccent(word);
      Emit(accent ? TokenType::kCommand : TokenType::kWord).text = std::string(word);
      at_ = end;
    } else if (static_cast<signed char>(c) < 0) {
      OtherLetter();
    } else {
      Punctuation(c);
    }
    return true;
  }

  // "p.m." after a number
  bool HalfOfDayWithPoints() const {
    return !tokens_.empty() && tokens_.back().type == TokenType::kNumber &&
           (absl::StartsWithIgnoreCase(Rest(at_), "p.m") ||
            absl::StartsWithIgnoreCase(Rest(at_), "a.m")) &&
           !ascii_isalpha(At(at_ + 3));
  }

  void OtherLetter() {
    absl::string_view rest = Rest(at_);
    std::string run;
    bool cjk = false;
    int count = 0;
    while (!rest.empty() && static_cast<signed char>(rest[0]) < 0) {
      const char32_t letter = EatCodePoint(&rest);
      if (letter == 0xFFFD) failed_ = true;
      cjk |= IsCjk(letter);
      AppendUtf8(letter, &run);
      ++count;
    }
    at_ = text_.size() - rest.size();
    Emit(cjk || count > 1 ? TokenType::kText : TokenType::kWord).text = run;
  }

  void Punctuation(char c) {
    const char next = At(at_ + 1);
    const auto relation = [&](char symbol, int length) {
      Emit(TokenType::kRelation, symbol);
      at_ += length;
    };
    switch (c) {
      case '$':
        space_ = true;  // a delimiter of mathematics, or of money in plain text
        ++at_;
        return;
      case '=':
        return next == '<' ? relation('l', 2) : relation('=', next == '=' ? 2 : 1);
      case '<':
        return relation(next == '=' ? 'l' : '<', next == '=' ? 2 : 1);
      case '>':
        return relation(next == '=' ? 'g' : '>', next == '=' ? 2 : 1);
      case '!':
        if (next == '=') return relation('!', 2);
        break;
      case '*':
        if (next == '*') {
          Emit(TokenType::kPunct, '^');
          at_ += 2;
          return;
        }
        break;
      case '.':
        if (next == '.' && At(at_ + 2) == '.') {
          Emit(TokenType::kCommand).text = "ldots";
          at_ += 3;
          return;
        }
        break;
      case '(':
      case '[':
        ++depth_;
        break;
      case ')':
      case ']':
        --depth_;
        break;
      case '{':
        ++braces_;
        break;
      case '}':
        --braces_;
        break;
      case '&':
        if (environments_ == 0) {
          space_ = true;
          ++at_;
          return;
        }
        break;
      default:
        break;
    }
    Emit(TokenType::kPunct, c);
    ++at_;
  }

  // The content of the group at `at_`, which is moved behind it; without braces, one character.
  absl::string_view Group() {
    while (ascii_isspace(At(at_))) ++at_;
    if (At(at_) != '{') {
      const size_t begin = at_;
      if (at_ < text_.size()) ++at_;
      return text_.substr(begin, at_ - begin);
    }
    int depth = 0;
    const size_t begin = at_;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == '{') {
        ++depth;
      } else if (text_[at_] == '}' && --depth == 0) {
        ++at_;
        return text_.substr(begin + 1, at_ - begin - 2);
      }
    }
    at_ = text_.size();
    failed_ = true;
    return {};
  }

  void Command() {
    char next = At(at_ + 1);
    if (next == '\\') {
      // Escaped twice (\\frac), or the end of a row.
      if (environments_ == 0 && ascii_isalpha(At(at_ + 2))) {
        ++at_;
      } else {
        at_ += 2;
        if (environments_ > 0) {
          const size_t close = Rest(at_).substr(0, kMaxRowGap).find(']');  // \\\\[2pt]
          if (At(at_) == '[' && close != absl::string_view::npos) at_ += close + 1;
          Emit(TokenType::kPunct, '\n');
        } else {
          space_ = true;
        }
        return;
      }
      next = At(at_ + 1);
    }
    if (!ascii_isalpha(next)) {
      at_ += 2;
      switch (next) {
        case '{':
          ++depth_;
          Emit(TokenType::kCommand).text = "{";
          return;
        case '}':
          --depth_;
          Emit(TokenType::kCommand).text = "}";
          return;
        case '%':
          Emit(TokenType::kPunct, '%');
          return;
        case '$':
          Emit(TokenType::kPunct, '$');
          return;
        case '|':
          Emit(TokenType::kPunct, '|');
          return;
        case 0:
          failed_ = true;
          return;
        default:
          space_ = true;
          return;  // \, \; \! \( \) \[ \] \_ ...
      }
    }
    size_t end = at_ + 1;
    while (ascii_isalpha(At(end))) ++end;
    absl::string_view name = text_.substr(at_ + 1, end - at_ - 1);
    // \vertx, \lbracex: no command, but one with a letter behind it.
    for (const absl::string_view glued : {"lvert", "vert", "lbrace", "lbrack"}) {
      if (name.size() > glued.size() && absl::StartsWith(name, glued)) {
        name = name.substr(0, glued.size());
      }
    }
    at_ = at_ + 1 + name.size();
    Named(name);
  }

  void Named(absl::string_view name) {
    if (IsIgnoredCommand(name)) {
      space_ = true;
      // \left. and \right. are empty brackets.
      if ((name == "left" || name == "right") && At(at_) == '.') ++at_;
      return;
    }
    if (IsDroppedWithArgument(name)) {
      Group();
      return;
    }
    if (IsTextCommand(name)) return Text(name == "mathrm", Group());
    if (const char relation = RelationNamed(name)) {
      Emit(TokenType::kRelation, relation);
      return;
    }
    if (name == "not") {
      while (ascii_isspace(At(at_))) ++at_;
      if (At(at_) == '=') {
        ++at_;
        Emit(TokenType::kRelation, '!');
      } else {
        failed_ = true;
      }
      return;
    }
    if (name == "char") return Character();
    if (name == "begin" || name == "end") {
      std::string environment(absl::StripAsciiWhitespace(Group()));
      if (absl::EndsWith(environment, "*")) environment.pop_back();
      environments_ += name == "begin" ? 1 : -1;
      if (environment == "array" && name == "begin") {
        while (ascii_isspace(At(at_))) ++at_;
        if (At(at_) == '{') Group();
      }
      Token& token = Emit(TokenType::kCommand);
      token.text = std::string(name) + ":" + environment;
      return;
    }
    if (name == "operatorname" || name == "mathop") {
      if (At(at_) == '*') ++at_;
      std::string inner(absl::StripAsciiWhitespace(Group()));
      Emit(TokenType::kCommand).text = std::move(inner);
      return;
    }
    name = SynonymOf(name);
    if (name.size() == 1 && !ascii_isalpha(name[0]) && name != "{" && name != "}") {
      if (name == "(" || name == "[") ++depth_;
      if (name == ")" || name == "]") --depth_;
      Emit(TokenType::kPunct, name[0]);
      return;
    }
    if (name == "{") ++depth_;
    if (name == "}") --depth_;
    if (name == "e" || name == "I") {
      Emit(TokenType::kWord).text = std::string(name);
      return;
    }
    Emit(TokenType::kCommand).text = std::string(name);
  }

  // What stands in `content` counts as if it stood alone.
  void Inline(absl::string_view content) {
    std::optional<std::vector<Token>> inner = Lexer(content).Run();
    if (!inner) {
      failed_ = true;
      return;
    }
    inner->pop_back();
    for (Token& token : *inner) tokens_.push_back(std::move(token));
  }

  // \char"03B5 (hexadecimal), \char65.
  void Character() {
    const bool hexadecimal = At(at_) == '"';
    const size_t begin = at_ + (hexadecimal ? 1 : 0);
    size_t end = begin;
    const auto is_digit = [&](char c) {
      return hexadecimal ? absl::ascii_isxdigit(c) : ascii_isdigit(c);
    };
    while (end < begin + kMaxCharDigits && is_digit(At(end))) ++end;
    uint32_t code = 0;
    const absl::string_view digits = text_.substr(begin, end - begin);
    const bool read =
        hexadecimal ? absl::SimpleHexAtoi(digits, &code) : absl::SimpleAtoi(digits, &code);
    at_ = end;
    const bool character =
        code > ' ' && code != '\\' && code < 0x110000 && !(code >= 0xD800 && code < 0xE000);
    if (!read || !character) {
      failed_ = true;
      return;
    }
    std::string letter;
    AppendUtf8(code, &letter);
    Inline(ToLatex(letter));
  }

  void Text(bool roman, absl::string_view content) {
    std::string words;
    for (const char c : content) words.push_back(c == '~' || ascii_isspace(c) ? ' ' : c);
    words = std::string(absl::StripAsciiWhitespace(words));
    const bool letters = std::any_of(words.begin(), words.end(), [](char c) {
      return ascii_isalpha(c) || static_cast<signed char>(c) < 0;
    });
    if (words.empty()) {
      space_ = true;
    } else if (!letters) {
      Inline(content);  // \text{13}
    } else if (roman && words.size() == 1) {
      Token& token = Emit(TokenType::kWord);
      token.text = words;
      token.roman = true;
    } else {
      Token& token = Emit(TokenType::kText);
      token.text = words;
      token.roman = roman;
    }
  }

  size_t SkipDigits(size_t i) const {
    while (ascii_isdigit(At(i))) ++i;
    return i;
  }

  // If a thousands separator and three digits (not four) stand at `i`, the position of the digits;
  // else 0. `kind` is that of the separator and must not change within a number.
  size_t Thousands(size_t i, char* kind) const {
    char found = 0;
    size_t digits = 0;
    if (absl::StartsWith(Rest(i), "{,}")) {
      found = '{';
      digits = i + 3;
    } else if (absl::StartsWith(Rest(i), ",\\!")) {
      found = '!';
      digits = i + 3;
      while (At(digits) == ' ') ++digits;
    } else if (absl::StartsWith(Rest(i), "\\,") || absl::StartsWith(Rest(i), "\\ ")) {
      found = '\\';
      digits = i + 2;
    } else if (At(i) == ',' && depth_ <= 0) {
      found = ',';
      digits = i + 1;
    } else if (At(i) == ' ' && depth_ <= 0 && environments_ == 0) {
      found = ' ';
      digits = i + 1;
    }
    if (!found || (*kind && *kind != found) || SkipDigits(digits) != digits + 3) return 0;
    if (found == ' ' && (At(digits + 3) == '^' || At(digits + 3) == '/' || At(digits + 3) == '_'))
      return 0;
    *kind = found;
    return digits;
  }

  // Whether the run "12,345,67" at `i` has a group that is not of three digits: then commas
  // separate a list. Each run is looked at once.
  bool IsListOfNumbers(size_t i) {
    if (i < list_end_) return true;
    while (At(i) == ',' && ascii_isdigit(At(i + 1))) {
      const size_t end = SkipDigits(i + 1);
      if (end != i + 4) {
        list_end_ = end;
        return true;
      }
      i = end;
    }
    return false;
  }

  // ".000", and no fourth digit.
  bool IsPointedGroup(size_t i) const { return At(i) == '.' && SkipDigits(i + 1) == i + 4; }

  void Number() {
    Token& token = Emit(TokenType::kNumber);
    size_t end = SkipDigits(at_);
    token.text = std::string(text_.substr(at_, end - at_));
    if (!token.text.empty() && token.text.size() <= 3 && token.text[0] != '0') {
      char kind = 0;
      while (size_t digits = Thousands(end, &kind)) {
        if (kind == ',' && token.text.size() <= 3 && IsListOfNumbers(end)) break;
        token.text += std::string(text_.substr(digits, 3));
        end = digits + 3;
      }
    }
    // 1.000.000: one point may be decimal, two aren't.
    if (!token.text.empty() && token.text.size() <= 3 && token.text[0] != '0' &&
        IsPointedGroup(end) && IsPointedGroup(end + 4)) {
      for (; IsPointedGroup(end); end += 4) token.text += std::string(text_.substr(end + 1, 3));
    }
    // 0,111: no thousands begin with a zero.
    const bool listed =
        braces_ > 0 || (tokens_.size() > 1 && tokens_[tokens_.size() - 2].IsPunct(','));
    const bool comma = token.text == "0" && depth_ <= 0 && !listed && At(end) == ',' &&
                       ascii_isdigit(At(end + 1)) && At(SkipDigits(end + 1)) != ',';
    const bool point =
        At(end) == '.' &&
        (ascii_isdigit(At(end + 1)) || absl::StartsWith(Rest(end + 1), "\\overline") ||
         absl::StartsWith(Rest(end + 1), "\\dot{") || absl::StartsWith(Rest(end + 1), "\\bar"));
    if (comma || point) {
      token.decimal = true;
      const size_t digits = SkipDigits(end + 1);
      token.text += std::string(text_.substr(end + 1, digits - end - 1));
      token.decimals = static_cast<long>(digits - end - 1);
      end = digits;
      for (const absl::string_view bar : {"\\overline", "\\bar", "\\dot"}) {
        if (!absl::StartsWith(Rest(end), bar)) continue;
        at_ = end + bar.size();
        token.repeating = std::string(Group());
        if (token.repeating.empty() ||
            !std::all_of(token.repeating.begin(), token.repeating.end(), ascii_isdigit))
          failed_ = true;
        end = at_;
      }
    }
    if (token.text.empty()) token.text = "0";
    // 0.333...
    if (token.decimals >= 2 && token.repeating.empty() &&
        token.text[token.text.size() - 1] == token.text[token.text.size() - 2]) {
      for (const absl::string_view dots : {"...", "\\ldots", "\\dots", "\\cdots"}) {
        if (!absl::StartsWith(Rest(end), dots)) continue;
        token.repeating = token.text.substr(token.text.size() - 1);
        end += dots.size();
        break;
      }
    }
    // 1.5e-7
    if ((At(end) == 'e' || At(end) == 'E') && token.repeating.empty()) {
      size_t digits = end + 1;
      if (At(digits) == '-' || At(digits) == '+') ++digits;
      const size_t stop = SkipDigits(digits);
      if (stop > digits && stop - digits <= 9 && !ascii_isalpha(At(stop))) {
        token.decimal = true;
        if (!absl::SimpleAtoi(absl::StripPrefix(text_.substr(end + 1, stop - end - 1), "+"),
                              &token.exponent)) {
          failed_ = true;
        }
        end = stop;
      }
    }
    at_ = end;
  }

  const absl::string_view text_;
  size_t at_ = 0;
  size_t list_end_ = 0;   // commas before it separate a list
  int depth_ = 0;         // of ( [ \{
  int braces_ = 0;        // of {
  int environments_ = 0;  // of \begin
  bool space_ = false;
  bool failed_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

std::optional<std::vector<Token>> Lex(absl::string_view text) {
  const std::string latex = ToLatex(text);
  return Lexer(latex).Run();
}

}  // namespace ponder::verifier::math
