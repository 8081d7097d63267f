// Make 24 of all the numbers. Some instances have no solution, and the answer has to say so.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/expression.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {
namespace {

constexpr int kTarget = 24;
constexpr int64_t kBudget = 50'000;  // combinations looked at for one instance
constexpr int kDeals = 64;

}  // namespace

Puzzle MakeTwentyFour(Rng& rng, int level) {
  const int count = level <= 6 ? 4 : level <= 8 ? 5 : 6;
  const int highest = level <= 2 ? 6 : level <= 4 ? 9 : 13;
  const bool unsolvable = count == 4 && Chance(rng, 10);
  std::vector<int> numbers;
  std::string solution;
  bool found = false;
  for (int i = 0; i < kDeals && !found; ++i) {
    numbers.clear();
    for (int k = 0; k < count; ++k) numbers.push_back(Draw(rng, 1, highest));
    const Search search = FindExpression(numbers, kTarget, kBudget, &solution);
    found = search == (unsolvable ? Search::kImpossible : Search::kFound);
  }
  if (!found) {
    numbers = {4, 6, 1, 1, 1, 1};
    numbers.resize(count);
    FindExpression(numbers, kTarget, kBudget, &solution);
  } else if (unsolvable) {
    solution = "impossible";
  }
  Puzzle puzzle;
  puzzle.instance.Set("numbers", numbers);
  puzzle.instance.Set("target", kTarget);
  puzzle.question = absl::StrCat(
      "Combine the numbers ", absl::StrJoin(numbers, ", "), " with +, -, *, / and brackets to ",
      kTarget, ". Use every number exactly once, and no others; fractions may occur on the way.\n",
      "Answer with one expression, for example (1+2+3)*4, or with the word impossible if there is "
      "none.");
  puzzle.solution = solution;
  return puzzle;
}

}  // namespace ponder::data::puzzle
