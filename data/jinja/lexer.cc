#include "data/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data::jinja {
namespace {

constexpr size_t kShownSource = 60;  // bytes of a tag in a message
constexpr std::array<absl::string_view, 6> kLongOperators = {"==", "!=", "<=", ">=", "//", "**"};
constexpr absl::string_view kOperators = "+-*/%~<>=|.,:()[]{}";

bool IsNameStart(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

class Lexer {
 public:
  explicit Lexer(absl::string_view source)
      : source_(absl::StrReplaceAll(source, {{"\r\n", "\n"}, {"\r", "\n"}})) {
    if (absl::EndsWith(source_, "\n")) source_.pop_back();
  }

  bool Run(std::vector<Token>* tokens) {
    tokens_ = tokens;
    while (position_ < source_.size()) {
      const size_t tag = NextTag();
      if (tag == std::string::npos) {
        AddText(source_.size());
        break;
      }
      const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
      AddTextBefore(tag, sign);
      if (!ReadTag(tag, sign)) return false;
    }
    Add(Token::Kind::kEof, "");
    return true;
  }

  const std::string& problem() const { return problem_; }
  int line() const { return line_; }

 private:
  bool Fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }
  void Add(Token::Kind kind, std::string text) {
    tokens_->push_back({kind, std::move(text), line_, ""});
  }
  void Advance(size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<int64_t>(position_),
                                         source_.begin() + static_cast<int64_t>(to), '\n'));
    position_ = to;
  }
  absl::string_view Rest() const { return absl::string_view(source_).substr(position_); }

  size_t NextTag() const {
    for (size_t at = source_.find('{', position_); at != std::string::npos;
         at = source_.find('{', at + 1)) {
      if (at + 1 < source_.size() &&
          (source_[at + 1] == '{' || source_[at + 1] == '%' || source_[at + 1] == '#'))
        return at;
    }
    return std::string::npos;
  }

  void AddText(size_t end) {
    if (end > position_) Add(Token::Kind::kText, source_.substr(position_, end - position_));
    Advance(end);
  }

  // The text up to a tag, without what the tag strips.
  void AddTextBefore(size_t tag, char sign) {
    std::string text = source_.substr(position_, tag - position_);
    if (sign == '-') {
      text.resize(text.size() - TrailingWhitespace(text));
    } else if (sign != '+' && source_[tag + 1] != '{') {
      const size_t newline = text.rfind('\n');
      const size_t line_start = newline == std::string::npos ? 0 : newline + 1;
      if ((line_start > 0 || at_line_start_) &&
          text.find_first_not_of(" \t", line_start) == std::string::npos)
        text.resize(line_start);
    }
    if (!text.empty()) Add(Token::Kind::kText, std::move(text));
    Advance(tag);
  }

  // Behind a tag, whose end is behind `position_`.
  void AfterTag(bool strips, bool trims) {
    const size_t end = position_;
    if (strips) {
      Advance(position_ + LeadingWhitespace(Rest()));
    } else if (trims && absl::StartsWith(Rest(), "\n")) {
      Advance(position_ + 1);
    }
    at_line_start_ = position_ > end && source_[position_ - 1] == '\n';
  }

  bool ReadTag(size_t tag, char sign) {
    if (source_[tag + 1] == '#') return SkipComment(tag);
    const bool block = source_[tag + 1] == '%';
    const size_t token = tokens_->size();
    Add(block ? Token::Kind::kBlock : Token::Kind::kOutput, "");
    Advance(tag + (sign == '-' || sign == '+' ? 3 : 2));
    if (block && IsRaw()) {
      tokens_->pop_back();
      return ReadRaw();
    }
    const absl::string_view closing = block ? "%}" : "}}";
    int open = 0;  // brackets
    while (true) {
      Advance(position_ + LeadingWhitespace(Rest()));
      if (position_ >= source_.size())
        return Fail(absl::StrCat("a tag is not closed by ", closing));
      const bool minus = Rest()[0] == '-', plus = block && Rest()[0] == '+';
      if (open == 0 && absl::StartsWith(Rest().substr(minus || plus ? 1 : 0), closing)) {
        Add(Token::Kind::kEnd, std::string(closing));
        Advance(position_ + (minus || plus ? 3 : 2));
        std::string shown = source_.substr(tag, std::min(position_ - tag, kShownSource));
        if (position_ - tag > kShownSource) {
          shown.resize(shown.size() - IncompleteTail(shown));
          shown += "...";
        }
        (*tokens_)[token].source = std::move(shown);
        AfterTag(minus, block && !plus);
        return true;
      }
      if (!ReadWord(&open)) return false;
    }
  }

  bool SkipComment(size_t tag) {
    const size_t end = source_.find("#}", tag + 2);
    if (end == std::string::npos) return Fail("a comment is not closed by #}");
    const char sign = end > tag + 2 ? source_[end - 1] : '\0';
    Advance(end + 2);
    AfterTag(sign == '-', sign != '+');
    return true;
  }

  bool IsRaw() const {
    absl::string_view rest = Rest();
    rest.remove_prefix(LeadingWhitespace(rest));
    if (!absl::StartsWith(rest, "raw")) return false;
    rest = absl::StripLeadingAsciiWhitespace(rest.substr(3));
    return absl::StartsWith(rest, "%}") || absl::StartsWith(rest, "-%}");
  }

  bool ReadRaw() {
    const size_t open = source_.find("%}", position_);
    const bool strips = source_[open - 1] == '-';
    Advance(open + 2);
    AfterTag(strips, false);
    for (size_t at = source_.find("{%", position_); at != std::string::npos;
         at = source_.find("{%", at + 2)) {
      size_t word = at + 2;
      const char sign = word < source_.size() ? source_[word] : '\0';
      if (sign == '-' || sign == '+') ++word;
      while (word < source_.size() &&
             absl::ascii_isspace(static_cast<unsigned char>(source_[word])))
        ++word;
      if (source_.compare(word, 6, "endraw") != 0) continue;
      const size_t end = source_.find("%}", word);
      if (end == std::string::npos) break;
      AddTextBefore(at, sign);
      Advance(end + 2);
      AfterTag(source_[end - 1] == '-', source_[end - 1] != '+');
      return true;
    }
    return Fail("raw is not closed by endraw");
  }

  bool ReadWord(int* open) {
    const char c = Rest()[0];
    size_t end = position_ + 1;
    if (IsNameStart(c)) {
      while (end < source_.size() && (IsNameStart(source_[end]) || IsDigit(source_[end]))) ++end;
      Add(Token::Kind::kName, source_.substr(position_, end - position_));
    } else if (IsDigit(c)) {
      end = ReadNumber();
    } else if (c == '"' || c == '\'') {
      return ReadString(c);
    } else {
      for (const absl::string_view op : kLongOperators)
        if (absl::StartsWith(Rest(), op)) end = position_ + 2;
      if (end == position_ + 1 && kOperators.find(c) == absl::string_view::npos)
        return Fail(absl::StrCat("unexpected char ", std::string(1, c)));
      if (c == '(' || c == '[' || c == '{') ++*open;
      if (c == ')' || c == ']' || c == '}') --*open;
      if (*open < 0) return Fail(absl::StrCat("unexpected '", std::string(1, c), "'"));
      Add(Token::Kind::kOperator, source_.substr(position_, end - position_));
    }
    Advance(end);
    return true;
  }

  size_t ReadNumber() {
    size_t end = position_;
    bool real = false;
    const auto digits = [&] {
      while (end < source_.size() && (IsDigit(source_[end]) || source_[end] == '_')) ++end;
    };
    digits();
    // Behind a dot it is an index: a.1.0.
    const bool index = position_ > 0 && source_[position_ - 1] == '.';
    if (!index && end + 1 < source_.size() && source_[end] == '.' && IsDigit(source_[end + 1])) {
      real = true;
      ++end;
      digits();
    }
    if (!index && end + 1 < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      size_t exponent = end + 1;
      if (source_[exponent] == '+' || source_[exponent] == '-') ++exponent;
      if (exponent < source_.size() && IsDigit(source_[exponent])) {
        real = true;
        end = exponent;
        digits();
      }
    }
    Add(real ? Token::Kind::kFloat : Token::Kind::kInt,
        absl::StrReplaceAll(source_.substr(position_, end - position_), {{"_", ""}}));
    return end;
  }

  bool ReadString(char quote) {
    std::string text;
    size_t at = position_ + 1;
    while (at < source_.size() && source_[at] != quote) {
      if (source_[at] != '\\' || at + 1 == source_.size()) {
        text.push_back(source_[at++]);
      } else {
        at = ReadEscape(at + 1, &text);
      }
    }
    if (at >= source_.size()) return Fail("a string is not closed");
    Add(Token::Kind::kString, std::move(text));
    Advance(at + 1);
    return true;
  }

  // `at`: behind the backslash. Returns where the text goes on.
  size_t ReadEscape(size_t at, std::string* text) const {
    constexpr absl::string_view kLetters = "nrtbfav\\'\"", kMeanings = "\n\r\t\b\f\a\v\\'\"";
    const char c = source_[at];
    const size_t simple = kLetters.find(c);
    if (simple != absl::string_view::npos) {
      text->push_back(kMeanings[simple]);
      return at + 1;
    }
    if (c == '\n') return at + 1;
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    const std::string hex = source_.substr(at + 1, digits);
    if (digits > 0 && hex.size() == digits &&
        hex.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos) {
      const auto code = static_cast<char32_t>(std::stoul(hex, nullptr, 16));
      const bool scalar = code < 0x110000 && (code < 0xD800 || code > 0xDFFF);
      AppendUtf8(scalar ? code : 0xFFFD, text);
      return at + 1 + digits;
    }
    if (c == '0') {
      text->push_back('\0');
      return at + 1;
    }
    text->push_back('\\');
    return at;
  }

  std::string source_;
  size_t position_ = 0;
  int line_ = 1;
  bool at_line_start_ = true;
  std::vector<Token>* tokens_ = nullptr;
  std::string problem_;
};

}  // namespace

bool Lex(absl::string_view source, std::vector<Token>* tokens, std::string* problem, int* line) {
  Lexer lexer(source);
  if (lexer.Run(tokens)) return true;
  *problem = lexer.problem();
  *line = lexer.line();
  return false;
}

}  // namespace ponder::data::jinja
