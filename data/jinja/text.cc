#include "data/jinja/text.h"

#include <unicode/uchar.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "data/jinja/value.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data::jinja {
namespace {

bool IsLetter(char32_t c) { return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_CASED) != 0; }

// Python's str.isspace: White_Space and the four separators of ASCII.
bool IsSpace(char32_t c) {
  return u_isUWhiteSpace(static_cast<UChar32>(c)) || (c >= 0x1C && c <= 0x1F);
}

std::string Cased(char32_t c, bool upper) {
  const std::string text = Utf8(std::u32string_view(&c, 1));
  return upper ? UpperCase(text) : LowerCase(text);
}

}  // namespace

std::string Strip(absl::string_view text, const std::string* set, bool left, bool right) {
  const std::u32string characters = Characters(text);
  const std::u32string chosen = set == nullptr ? U"" : Characters(*set);
  const auto goes = [&](char32_t c) {
    return set == nullptr ? IsSpace(c) : chosen.find(c) != std::u32string::npos;
  };
  size_t begin = 0, end = characters.size();
  while (left && begin < end && goes(characters[begin])) ++begin;
  while (right && end > begin && goes(characters[end - 1])) --end;
  return Utf8(std::u32string_view(characters).substr(begin, end - begin));
}

std::string Capitalize(absl::string_view text) {
  if (text.empty()) return "";
  const std::u32string characters = Characters(text);
  return Cased(characters[0], true) + LowerCase(Utf8(std::u32string_view(characters).substr(1)));
}

std::string Title(absl::string_view text) {
  std::string title;
  bool inside = false;
  for (const char32_t c : Characters(text)) {
    title += Cased(c, !inside);
    inside = IsLetter(c);
  }
  return title;
}

std::string ReplaceText(absl::string_view text, absl::string_view from, absl::string_view to,
                        int64_t count) {
  std::string replaced;
  if (from.empty()) {  // between all characters
    for (size_t i = 0; i <= text.size();) {
      if (count != 0) absl::StrAppend(&replaced, to);
      if (count > 0) --count;
      if (i == text.size()) break;
      const size_t length = NextUtf8(text, i).length;
      absl::StrAppend(&replaced, text.substr(i, length));
      i += length;
    }
    return replaced;
  }
  size_t done = 0;
  for (size_t at = text.find(from); at != absl::string_view::npos && count != 0;
       at = text.find(from, done)) {
    absl::StrAppend(&replaced, text.substr(done, at - done), to);
    done = at + from.size();
    if (count > 0) --count;
  }
  absl::StrAppend(&replaced, text.substr(done));
  return replaced;
}

std::string Pad(absl::string_view text, int64_t width, absl::string_view fill, Side side) {
  const int64_t missing = std::max<int64_t>(0, width - CountCharacters(text));
  const int64_t left = side == Side::kLeft    ? missing
                       : side == Side::kRight ? 0
                                              : missing / 2 + (missing & width & 1);
  std::string padded;
  for (int64_t i = 0; i < left; ++i) absl::StrAppend(&padded, fill);
  absl::StrAppend(&padded, text);
  for (int64_t i = left; i < missing; ++i) absl::StrAppend(&padded, fill);
  return padded;
}

bool IsDecimal(char32_t c) { return u_charType(static_cast<UChar32>(c)) == U_DECIMAL_DIGIT_NUMBER; }

bool IsUnicodeDigit(char32_t c) {
  const int32_t type = u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE);
  return type == U_NT_DECIMAL || type == U_NT_DIGIT;
}

bool IsNumeric(char32_t c) {
  return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}

bool IsAlphabetic(char32_t c) {
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_L_MASK) != 0;
}

bool IsAlphanumeric(char32_t c) { return IsAlphabetic(c) || IsNumeric(c); }

std::vector<std::string> SplitLines(absl::string_view text, bool keep_ends) {
  constexpr absl::string_view kEnds[] = {"\r\n",     "\n",           "\r",          "\v",
                                         "\f",       "\x1C",         "\x1D",        "\x1E",
                                         "\xC2\x85", "\xE2\x80\xA8", "\xE2\x80\xA9"};
  std::vector<std::string> lines;
  size_t begin = 0;
  for (size_t i = 0; i < text.size();) {
    size_t end = 0;
    for (const absl::string_view candidate : kEnds)
      if (end == 0 && absl::StartsWith(text.substr(i), candidate)) end = candidate.size();
    if (end == 0) {
      ++i;
      continue;
    }
    lines.emplace_back(text.substr(begin, i - begin + (keep_ends ? end : 0)));
    i += end;
    begin = i;
  }
  if (begin < text.size()) lines.emplace_back(text.substr(begin));
  return lines;
}

}  // namespace ponder::data::jinja
