// 24 and Countdown: arithmetic with the given numbers, exactly.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "data/puzzle/expression.h"
#include "verifier/puzzle/answer_reader.h"
#include "verifier/puzzle/checkers.h"

namespace ponder::verifier::puzzle {
namespace {

using data::puzzle::Expression;
using data::puzzle::Search;

constexpr int64_t kProofBudget = 300'000;  // combinations: all of five numbers
constexpr size_t kMaxWords = 12;

// The expression, without '= 24' after it or '24 =' before it.
std::optional<Expression> Read(absl::string_view answer, int target) {
  const size_t equals = answer.find('=');
  if (equals == absl::string_view::npos) return data::puzzle::ParseExpression(answer);
  const absl::string_view left = answer.substr(0, equals), right = answer.substr(equals + 1);
  int value = 0;
  if (absl::SimpleAtoi(right, &value) && value == target)
    return data::puzzle::ParseExpression(left);
  if (absl::SimpleAtoi(left, &value) && value == target)
    return data::puzzle::ParseExpression(right);
  return std::nullopt;
}

// A few words that say so, and no number but the target.
bool SaysImpossible(absl::string_view answer, int target) {
  const std::string text = absl::AsciiStrToLower(answer);
  bool says = absl::StrContains(text, "can't") || absl::StrContains(text, "not possible") ||
              absl::StrContains(text, "no solution");
  const std::vector<std::string> words = ReadWords(text);
  for (const std::string& word : words) {
    says = says || word == "impossible" || word == "cannot" || word == "unsolvable";
    if (absl::ascii_isdigit(word[0]) && word != absl::StrCat(target)) return false;
  }
  return says && words.size() <= kMaxWords;
}

Finding Judge(std::vector<int> numbers, int target, bool all, absl::string_view answer) {
  std::optional<Expression> expression = Read(answer, target);
  if (!expression) return Unreadable("one expression of numbers, + - * / and brackets");
  std::vector<int>& used = expression->numbers;
  std::sort(numbers.begin(), numbers.end());
  std::sort(used.begin(), used.end());
  if (all && used != numbers) return Wrong("not exactly the given numbers");
  if (!std::includes(numbers.begin(), numbers.end(), used.begin(), used.end())) {
    return Wrong("uses a number that is not given, or too often");
  }
  if (!expression->value) return Wrong("the expression has no value");
  if (!(*expression->value == data::puzzle::Fraction{target, 1})) {
    return Wrong(absl::StrCat("gives ", expression->value->num, "/", expression->value->den,
                              ", not ", target));
  }
  return Correct();
}

}  // namespace

Finding CheckTwentyFour(InstanceReader& in, absl::string_view answer) {
  const std::vector<int> numbers = in.Ints("numbers", 1, 8, 0, 10'000);
  const int target = in.Has("target") ? in.Int("target", 0, 1'000'000) : 24;
  if (!in.ok()) return BadInstance(in);
  if (!SaysImpossible(answer, target)) return Judge(numbers, target, /*all=*/true, answer);
  std::string solution;
  switch (data::puzzle::FindExpression(numbers, target, kProofBudget, &solution)) {
    case Search::kFound:
      return Wrong(absl::StrCat("it is possible: ", solution));
    case Search::kImpossible:
      return Correct();
    default:
      return {Verdict::Outcome::kTimeout, "whether it is impossible took too long to find out"};
  }
}

Finding CheckCountdown(InstanceReader& in, absl::string_view answer) {
  const std::vector<int> numbers = in.Ints("numbers", 1, 16, 0, 1'000'000);
  const int target = in.Int("target", 0, 1'000'000'000);
  if (!in.ok()) return BadInstance(in);
  return Judge(numbers, target, /*all=*/false, answer);
}

}  // namespace ponder::verifier::puzzle
