// Make a target of some of the numbers.
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/expression.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {

Puzzle MakeCountdown(Rng& rng, int level) {
  const int count = Scale(level, 3, 7), used = Scale(level, 2, 6);
  const int highest = Scale(level, 10, 50), most = Scale(level, 60, 999);
  std::vector<int> numbers;
  int target = 0;
  std::string solution;
  // Joins numbers at random into one whose value suits; sums do in the end.
  for (int tries = 0; target == 0; ++tries) {
    numbers.clear();
    std::vector<std::pair<int, std::string>> terms;
    for (int i = 0; i < count; ++i) numbers.push_back(Draw(rng, 1, highest));
    for (int i = 0; i < used; ++i) terms.push_back({numbers[i], absl::StrCat(numbers[i])});
    while (terms.size() > 1) {
      Shuffle(terms, rng);
      const auto [b, right] = terms.back();
      terms.pop_back();
      auto& [a, left] = terms.back();
      char op = tries > 64 ? '+' : "+-*/"[Draw(rng, 0, 3)];
      if ((op == '-' && a <= b) || (op == '/' && a % b != 0) || (op == '*' && a * b > 2 * most))
        op = '+';
      a = op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a / b;
      left = absl::StrCat("(", left, std::string(1, op), right, ")");
    }
    if (terms[0].first >= 10 && (terms[0].first <= most || tries > 64)) {
      target = terms[0].first;
      solution = terms[0].second;
    }
  }
  Shuffle(numbers, rng);
  Puzzle puzzle;
  puzzle.instance.Set("numbers", numbers);
  puzzle.instance.Set("target", target);
  puzzle.question = absl::StrCat(
      "Reach ", target, " with some of the numbers ", absl::StrJoin(numbers, ", "),
      ", using +, -, *, / and brackets. Each number may be used at most once, as often as it is "
      "listed.\nAnswer with one expression, for example (5+7)*10.");
  puzzle.solution = solution;
  return puzzle;
}

}  // namespace ponder::data::puzzle
