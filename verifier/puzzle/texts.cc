// Cryptarithms, ciphers and procedures on words.
#include <algorithm>
#include <map>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "data/puzzle/decrypt.h"
#include "data/puzzle/procedures.h"
#include "verifier/puzzle/answer_reader.h"
#include "verifier/puzzle/checkers.h"

namespace ponder::verifier::puzzle {
namespace {

constexpr size_t kMaxText = 4096;

// "A=1, B: 2, C -> 3". nullopt: anything else, or a letter twice.
std::optional<std::map<char, int>> ReadDigits(absl::string_view answer) {
  std::map<char, int> digits;
  char letter = 0;
  while (!answer.empty()) {
    const char c = answer[0];
    if (absl::ConsumePrefix(&answer, "->") || absl::ConsumePrefix(&answer, "→")) continue;
    answer.remove_prefix(1);
    if (absl::ascii_isdigit(c)) {
      if (letter == 0 || !digits.emplace(letter, c - '0').second) return std::nullopt;
      letter = 0;
    } else if (absl::ascii_isupper(c)) {
      if (letter != 0) return std::nullopt;
      letter = c;
    } else if (absl::string_view(" \t\r\n,;=:{}()").find(c) == absl::string_view::npos) {
      return std::nullopt;
    }
  }
  return letter == 0 ? std::optional(digits) : std::nullopt;
}

// Column by column, so that words may have any length.
bool AddsUp(const std::vector<std::string>& words, const std::string& sum,
            const std::map<char, int>& digits) {
  int carry = 0;
  size_t longest = sum.size();
  for (const std::string& word : words) longest = std::max(longest, word.size());
  for (size_t i = 0; i < longest; ++i) {
    for (const std::string& word : words) {
      if (i < word.size()) carry += digits.at(word[word.size() - 1 - i]);
    }
    if (carry % 10 != (i < sum.size() ? digits.at(sum[sum.size() - 1 - i]) : 0)) return false;
    carry /= 10;
  }
  return carry == 0;
}

// Lower case, one space between words, no quotation marks around it, no full stop.
std::string Folded(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  if (text.size() > 1 && absl::ConsumePrefix(&text, "\"")) absl::ConsumeSuffix(&text, "\"");
  absl::ConsumeSuffix(&text, ".");
  std::string folded = absl::AsciiStrToLower(text);
  absl::RemoveExtraAsciiWhitespace(&folded);
  return folded;
}

Finding SameWords(const std::vector<std::string>& expected, absl::string_view answer) {
  const std::vector<std::string> given = ReadWords(absl::AsciiStrToLower(answer));
  if (given.size() != expected.size())
    return Wrong(absl::StrCat("not ", expected.size(), " words"));
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i] != absl::AsciiStrToLower(expected[i]))
      return Wrong(absl::StrCat("word ", i + 1, " is wrong"));
  }
  return Correct();
}

}  // namespace

Finding CheckCryptarithm(InstanceReader& in, absl::string_view answer) {
  std::vector<std::string> words = in.Texts("words", 2, 16);
  const std::string sum = in.Text("sum");
  std::map<char, bool> letters;  // whether one leads a number
  std::vector<std::string> all = words;
  all.push_back(sum);
  for (const std::string& word : all) {
    if (word.empty() || word.size() > 64) in.Fail("a word is empty or too long");
    for (size_t i = 0; i < word.size(); ++i) {
      if (!absl::ascii_isupper(word[i])) in.Fail("a word has other characters than A to Z");
      letters[word[i]] |= i == 0 && word.size() > 1;
    }
  }
  if (letters.size() > 10) in.Fail("more than ten letters");
  if (!in.ok()) return BadInstance(in);
  const std::optional<std::map<char, int>> digits = ReadDigits(answer);
  if (!digits) return Unreadable("a digit for each letter once, like A=1, B=2");
  std::vector<bool> taken(10);
  for (const auto& [letter, digit] : *digits) {
    const auto known = letters.find(letter);
    if (known == letters.end()) return Wrong(absl::StrCat("there is no ", std::string(1, letter)));
    if (taken[digit]) return Wrong(absl::StrCat("two letters are ", digit));
    if (digit == 0 && known->second) return Wrong("a number starts with 0");
    taken[digit] = true;
  }
  if (digits->size() != letters.size()) return Wrong("a letter has no digit");
  return AddsUp(words, sum, *digits) ? Correct() : Wrong("the sum is not right");
}

Finding CheckCipher(InstanceReader& in, absl::string_view answer) {
  const std::string cipher = in.Text("cipher"), key = in.Text("key"), text = in.Text("text");
  if (text.empty() || text.size() > kMaxText) in.Fail("the text is empty or too long");
  if (!data::puzzle::IsKey(cipher, key)) in.Fail("no key of this cipher");
  if (!in.ok()) return BadInstance(in);
  if (absl::StripAsciiWhitespace(answer).empty()) return Unreadable("a text");
  std::string plain = Folded(data::puzzle::Decrypt(cipher, key, text)), given = Folded(answer);
  if (cipher == data::puzzle::kRailFence) {
    given.erase(std::remove(given.begin(), given.end(), ' '), given.end());
    plain.erase(std::remove(plain.begin(), plain.end(), ' '), plain.end());
  }
  return given == plain ? Correct() : Wrong("another text");
}

Finding CheckProcedure(InstanceReader& in, absl::string_view answer) {
  const std::string task = in.Text("task");
  if (task == data::puzzle::kSort) {
    const std::vector<std::string> words = in.Texts("words", 1, 512);
    const bool backwards = in.Int("backwards", 0, 1) == 1;
    if (!in.ok()) return BadInstance(in);
    return SameWords(data::puzzle::Sorted(words, backwards), answer);
  }
  if (task == data::puzzle::kCount) {
    const std::vector<std::string> words = in.Texts("words", 1, 512);
    const std::string letters = in.Text("letters");
    if (!in.ok()) return BadInstance(in);
    const std::optional<std::vector<int>> counts = ReadNumbers(answer);
    if (!counts || counts->size() != letters.size())
      return Unreadable(absl::StrCat(letters.size(), " numbers"));
    return *counts == data::puzzle::CountLetters(words, letters) ? Correct()
                                                                 : Wrong("another count");
  }
  if (task == data::puzzle::kSwap) {
    const std::vector<std::string> held = in.Texts("held", 1, 64);
    const std::vector<int> pairs = in.Ints("pairs", 0, 1024, 0, static_cast<int>(held.size()) - 1);
    if (!in.ok()) return BadInstance(in);
    return SameWords(data::puzzle::Exchanged(held, pairs), answer);
  }
  if (task != data::puzzle::kLife) in.Fail("no such task");
  const int cols = in.Int("cols", 1, 64), steps = in.Int("steps", 0, 64);
  const std::vector<int> alive = in.Ints("alive", cols, 4096, 0, 1);
  if (alive.size() % cols != 0) in.Fail("the board is no rectangle");
  if (!in.ok()) return BadInstance(in);
  const int rows = static_cast<int>(alive.size()) / cols;
  const std::optional<std::vector<int>> board = ReadMarks(answer, rows, cols, ".#");
  if (!board) return Unreadable(absl::StrCat(rows, " rows of ", cols, " of the signs . and #"));
  return *board == data::puzzle::Generations(alive, cols, steps) ? Correct()
                                                                 : Wrong("another board");
}

}  // namespace ponder::verifier::puzzle
