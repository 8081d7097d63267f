#include "verifier/puzzle/answer_reader.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace ponder::verifier::puzzle {
namespace {

constexpr absl::string_view kSeparators = " \t\r\n,;|[](){}&\\";

bool IsSeparator(char c) { return kSeparators.find(c) != absl::string_view::npos; }

}  // namespace

std::optional<std::vector<int>> ReadNumbers(absl::string_view text) {
  std::vector<int> numbers;
  for (size_t i = 0; i < text.size();) {
    if (IsSeparator(text[i])) {
      ++i;
      continue;
    }
    int number = 0;
    size_t digits = 0;
    for (; i < text.size() && absl::ascii_isdigit(text[i]); ++i) {
      if (++digits > 9) return std::nullopt;
      number = number * 10 + (text[i] - '0');
    }
    if (digits == 0 || numbers.size() == kMaxNumbers) return std::nullopt;
    numbers.push_back(number);
  }
  return numbers;
}

std::optional<std::vector<int>> ReadGrid(absl::string_view text, int rows, int cols) {
  const size_t count = static_cast<size_t>(rows) * cols;
  std::optional<std::vector<int>> numbers = ReadNumbers(text);
  if (!numbers) return std::nullopt;
  if (numbers->size() == count) return numbers;
  std::optional<std::vector<int>> digits = ReadMarks(text, rows, cols, "0123456789");
  // Only whole rows, so that 12 is never 1 and 2.
  return numbers->size() == static_cast<size_t>(rows) ? digits : std::nullopt;
}

std::optional<std::vector<int>> ReadMarks(absl::string_view text, int rows, int cols,
                                          absl::string_view symbols) {
  std::vector<int> marks;
  const size_t count = static_cast<size_t>(rows) * cols;
  int in_line = 0;
  for (const char c : text) {
    if (c == '\n' && in_line % cols != 0) return std::nullopt;
    if (c == '\n') in_line = 0;
    const size_t mark = symbols.find(c);
    if (mark != absl::string_view::npos) {
      if (marks.size() == count) return std::nullopt;
      marks.push_back(static_cast<int>(mark));
      ++in_line;
    } else if (!IsSeparator(c)) {
      return std::nullopt;
    }
  }
  if (marks.size() != count) return std::nullopt;
  return marks;
}

std::vector<std::string> ReadWords(absl::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (absl::ascii_isalnum(c) || c == '_') {
      words.back().push_back(c);
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::optional<std::vector<int>> ReadLetters(absl::string_view text, absl::string_view names) {
  std::vector<int> letters;
  while (!text.empty()) {
    const size_t name = names.find(text[0]);
    if (name != absl::string_view::npos) {
      if (letters.size() == kMaxNumbers) return std::nullopt;
      letters.push_back(static_cast<int>(name));
      text.remove_prefix(1);
      continue;
    }
    bool eaten = false;
    for (const absl::string_view between : {"to", "->", "→", "-"}) {
      eaten = eaten || absl::ConsumePrefix(&text, between);
    }
    if (eaten) continue;
    if (!IsSeparator(text[0])) return std::nullopt;
    text.remove_prefix(1);
  }
  return letters;
}

}  // namespace ponder::verifier::puzzle
