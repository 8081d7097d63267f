#include "data/tokenizers/unicode_text.h"

#include <unicode/bytestream.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <cstdint>

#include "base/check.h"

namespace ponder::data {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";  // U+FFFD

bool IsWordCharacter(char32_t code) {
  const auto c = static_cast<UChar32>(code);
  return u_hasBinaryProperty(c, UCHAR_ALPHABETIC) || u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL) ||
         (U_GET_GC_MASK(c) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0;
}

// The last character's place.
size_t LastCharacter(absl::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return begin;
}

const icu::Normalizer2& NormalizerOf(NormalForm form) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = nullptr;
  switch (form) {
    case NormalForm::kNfc:
      normalizer = icu::Normalizer2::getNFCInstance(error);
      break;
    case NormalForm::kNfd:
      normalizer = icu::Normalizer2::getNFDInstance(error);
      break;
    case NormalForm::kNfkc:
      normalizer = icu::Normalizer2::getNFKCInstance(error);
      break;
    case NormalForm::kNfkd:
      normalizer = icu::Normalizer2::getNFKDInstance(error);
      break;
  }
  PONDER_CHECK(U_SUCCESS(error), "ICU has no data: ", u_errorName(error));
  return *normalizer;
}

}  // namespace

Utf8Step NextUtf8(absl::string_view text, size_t position) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(position);
  if (lead < 0x80) return {lead, 1, true, false};
  if (lead < 0xC2 || lead > 0xF4) return {};
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // No overlong forms, no surrogates, nothing above U+10FFFF.
  const unsigned char least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  char32_t code = lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if (position + i == text.size()) return {0xFFFD, i, false, true};
    const unsigned char next = byte(position + i);
    if (next < (i == 1 ? least : 0x80) || next > (i == 1 ? most : 0xBF))
      return {0xFFFD, i, false, false};
    code = code << 6 | (next & 0x3F);
  }
  return {code, length, true, false};
}

void AppendUtf8(char32_t code, std::string* text) {
  if (code < 0x80) {
    text->push_back(static_cast<char>(code));
    return;
  }
  const int rest = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  text->push_back(static_cast<char>((0xFF00 >> (rest + 1) & 0xFF) | code >> (6 * rest)));
  for (int i = rest - 1; i >= 0; --i)
    text->push_back(static_cast<char>(0x80 | (code >> (6 * i) & 0x3F)));
}

bool IsAscii(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

bool IsValidUtf8(absl::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const Utf8Step step = NextUtf8(text, i);
    if (!step.valid) return false;
    i += step.length;
  }
  return true;
}

std::string ReplaceInvalidUtf8(absl::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Step step = NextUtf8(text, i);
    if (step.valid) {
      valid.append(text.data() + i, step.length);
    } else {
      valid.append(kReplacement);
    }
    i += step.length;
  }
  return valid;
}

absl::string_view ValidUtf8(absl::string_view text, std::string* storage) {
  if (IsValidUtf8(text)) return text;
  *storage = ReplaceInvalidUtf8(text);
  return *storage;
}

size_t IncompleteTail(absl::string_view text) {
  for (size_t tail = std::min<size_t>(3, text.size()); tail > 0; --tail) {
    const Utf8Step step = NextUtf8(text, text.size() - tail);
    if (step.truncated && step.length == tail) return tail;
  }
  return 0;
}

size_t LeadingWhitespace(absl::string_view text) {
  size_t length = 0;
  while (length < text.size()) {
    const Utf8Step step = NextUtf8(text, length);
    if (!u_isUWhiteSpace(static_cast<UChar32>(step.code))) break;
    length += step.length;
  }
  return length;
}

size_t TrailingWhitespace(absl::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    const size_t last = LastCharacter(text.substr(0, end));
    if (!u_isUWhiteSpace(static_cast<UChar32>(NextUtf8(text, last).code))) break;
    end = last;
  }
  return text.size() - end;
}

bool BeginsWithWord(absl::string_view text) {
  return !text.empty() && IsWordCharacter(NextUtf8(text, 0).code);
}

bool EndsWithWord(absl::string_view text) {
  return !text.empty() && IsWordCharacter(NextUtf8(text, LastCharacter(text)).code);
}

std::string Normalize(NormalForm form, absl::string_view text) {
  if (IsAscii(text)) return std::string(text);
  std::string normal;
  icu::StringByteSink<std::string> sink(&normal, static_cast<int32_t>(text.size()));
  UErrorCode error = U_ZERO_ERROR;
  NormalizerOf(form).normalizeUTF8(
      0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink, nullptr, error);
  PONDER_CHECK(U_SUCCESS(error), "ICU can't normalise: ", u_errorName(error));
  return normal;
}

std::string LowerCase(absl::string_view text) {
  std::string lower;
  lower.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Step step = NextUtf8(text, i);
    if (step.code == 0x130) {
      lower.append("i\xCC\x87");  // the one character whose lower case is two
    } else {
      AppendUtf8(static_cast<char32_t>(u_tolower(static_cast<UChar32>(step.code))), &lower);
    }
    i += step.length;
  }
  return lower;
}

std::string UpperCase(absl::string_view text) {
  icu::UnicodeString upper = icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
  upper.toUpper(icu::Locale::getRoot());
  std::string utf8;
  return upper.toUTF8String(utf8);
}

}  // namespace ponder::data
