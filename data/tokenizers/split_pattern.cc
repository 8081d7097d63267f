#include "data/tokenizers/split_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "base/check.h"
#include "base/status.h"

namespace ponder::data {
namespace {

// Unicode's White_Space. PCRE2's \s has U+180E too.
constexpr char kWhitespace[] =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"
    "\\x{205f}\\x{3000}";
// PCRE2 reads a script's bare name as Script_Extensions.
constexpr std::array<absl::string_view, 12> kScripts = {
    "Han",   "Hiragana", "Katakana", "Hangul", "Thai",       "Latin",
    "Greek", "Cyrillic", "Arabic",   "Hebrew", "Devanagari", "Bengali"};

// From Oniguruma's dialect to PCRE2's.
absl::StatusOr<std::string> Translate(absl::string_view regex) {
  std::string translated;
  bool in_class = false;
  for (size_t i = 0; i < regex.size(); ++i) {
    const char c = regex[i];
    const absl::string_view rest = regex.substr(i);
    if (c == '\\' && i + 1 < regex.size()) {
      const char escaped = regex[++i];
      if (escaped == 's') {
        absl::StrAppend(&translated, in_class ? "" : "[", kWhitespace, in_class ? "" : "]");
        continue;
      }
      if (escaped == 'S' && !in_class) {
        absl::StrAppend(&translated, "[^", kWhitespace, "]");
        continue;
      }
      absl::StrAppend(&translated, regex.substr(i - 1, 2));
      if (escaped != 'p' && escaped != 'P') continue;
      for (const absl::string_view script : kScripts) {
        if (absl::StartsWith(rest.substr(2), absl::StrCat("{", script, "}"))) {
          absl::StrAppend(&translated, "{sc:");
          ++i;
          break;
        }
      }
      continue;
    }
    if (in_class) {
      if (absl::StartsWith(rest, "&&"))
        return absl::InvalidArgumentError("has an intersection (&&) in a class");
      if (c == '[' && !absl::StartsWith(rest, "[:"))
        return absl::InvalidArgumentError("has a class in a class");
      if (c == ']') in_class = false;
    } else if (c == '[') {
      in_class = true;
    }
    translated.push_back(c);
  }
  return translated;
}

// What one thread needs to match, whatever the pattern.
struct MatchSpace {
  MatchSpace()
      : data(pcre2_match_data_create(1, nullptr)),
        context(pcre2_match_context_create(nullptr)),
        stack(pcre2_jit_stack_create(32 << 10, 4 << 20, nullptr)) {
    PONDER_CHECK(data != nullptr && context != nullptr, "out of memory");
    if (stack != nullptr) pcre2_jit_stack_assign(context, nullptr, stack);
    pcre2_set_match_limit(context, 10'000'000);
    pcre2_set_heap_limit(context, 64 << 10);
  }
  MatchSpace(const MatchSpace&) = delete;
  MatchSpace& operator=(const MatchSpace&) = delete;
  ~MatchSpace() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
  pcre2_match_data* data;
  pcre2_match_context* context;
  pcre2_jit_stack* stack;
};

std::string MessageOf(int error) {
  std::array<PCRE2_UCHAR, 256> message{};
  pcre2_get_error_message(error, message.data(), message.size());
  return reinterpret_cast<const char*>(message.data());
}

class Regex final : public SplitPattern {
 public:
  explicit Regex(pcre2_code* code) : code_(code) {}
  ~Regex() override { pcre2_code_free(code_); }

  absl::Status FindAll(absl::string_view text, std::vector<Range>* matches) const override {
    static thread_local MatchSpace space;
    size_t from = 0;
    uint32_t options = PCRE2_NO_UTF_CHECK;
    while (from < text.size()) {
      const int found = pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                    from, options, space.data, space.context);
      if (found == PCRE2_ERROR_NOMATCH) break;
      if (found < 0) {
        return absl::ResourceExhaustedError(
            absl::StrCat("the tokenizer's split pattern fails on this text: ", MessageOf(found)));
      }
      const size_t* range = pcre2_get_ovector_pointer(space.data);
      if (range[1] > range[0]) {
        matches->emplace_back(range[0], range[1]);
        from = range[1];
      } else {  // go on behind the next character
        from = range[1] + 1;
        while (from < text.size() && (text[from] & 0xC0) == 0x80) ++from;
      }
    }
    return absl::OkStatus();
  }

 private:
  pcre2_code* code_;
};

class Text final : public SplitPattern {
 public:
  explicit Text(absl::string_view text) : text_(text) {}

  absl::Status FindAll(absl::string_view text, std::vector<Range>* matches) const override {
    for (size_t at = text.find(text_); at != absl::string_view::npos;
         at = text.find(text_, at + text_.size())) {
      matches->emplace_back(at, at + text_.size());
    }
    return absl::OkStatus();
  }

 private:
  const std::string text_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const SplitPattern>> SplitPattern::Compile(absl::string_view regex) {
  if (regex.size() > 100'000) return absl::InvalidArgumentError("is too long");
  PONDER_ASSIGN_OR_RETURN(const std::string translated, Translate(regex));
  int error = 0;
  size_t offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (code == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("is no pattern: ", MessageOf(error)));
  }
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // where it can't, the interpreter matches
  return std::make_shared<Regex>(code);
}

absl::StatusOr<std::shared_ptr<const SplitPattern>> SplitPattern::Literal(absl::string_view text) {
  if (text.empty()) return absl::InvalidArgumentError("is empty");
  return std::make_shared<Text>(text);
}

}  // namespace ponder::data
