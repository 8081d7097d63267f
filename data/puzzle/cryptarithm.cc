// Sums with letters for digits.
#include <cstdint>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {

Puzzle MakeCryptarithm(Rng& rng, int level) {
  const int operands = level >= 8 ? 3 : 2, digits = Scale(level, 2, 7);
  int64_t least = 1;
  for (int i = 1; i < digits; ++i) least *= 10;
  std::vector<int64_t> numbers;
  int64_t sum = 0;
  for (int i = 0; i < operands; ++i) {
    numbers.push_back(rng.NextInt(least, 10 * least - 1));
    sum += numbers.back();
  }
  const std::vector<int> letter_of = Permutation(26, rng);
  std::map<char, int> digit_of;
  const auto spell = [&](int64_t number) {
    std::string word = absl::StrCat(number);
    for (char& c : word) {
      const int digit = c - '0';
      c = static_cast<char>('A' + letter_of[digit]);
      digit_of[c] = digit;
    }
    return word;
  };
  std::vector<std::string> words;
  for (const int64_t number : numbers) words.push_back(spell(number));
  const std::string total = spell(sum);
  std::vector<std::string> solution;
  for (const auto& [letter, digit] : digit_of) {
    solution.push_back(absl::StrCat(std::string(1, letter), "=", digit));
  }
  Puzzle puzzle;
  puzzle.instance.Set("words", words);
  puzzle.instance.Set("sum", total);
  puzzle.question = absl::StrCat(
      "Each letter stands for a digit, different letters for different digits, and no number "
      "starts "
      "with 0:\n\n",
      absl::StrJoin(words, " + "), " = ", total,
      "\n\nFind digits that make the sum right. Answer with every letter, for example A=1, B=2.");
  puzzle.solution = absl::StrJoin(solution, ", ");
  return puzzle;
}

}  // namespace ponder::data::puzzle
