// The truth values of formulas without variables.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/formula.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {

Puzzle MakeBoolean(Rng& rng, int level) {
  const int count = Scale(level, 2, 8), depth = Scale(level, 2, 6);
  std::vector<std::string> formulas, values;
  std::string list;
  for (int i = 0; i < count; ++i) {
    formulas.push_back(RandomFormula(depth, 0, rng));
    values.push_back(*Evaluate(formulas.back(), 0) ? "True" : "False");
    absl::StrAppend(&list, i + 1, ". ", formulas.back(), "\n");
  }
  Puzzle puzzle;
  puzzle.instance.Set("formulas", formulas);
  puzzle.question = absl::StrCat(
      "Is each of these formulas True or False? (iff: both have the same value; xor: they have "
      "different values; f implies g: false only if f is True and g is False)\n\n",
      list, "\nAnswer with ", count,
      " words, each True or False, in the order of the formulas, separated by commas.");
  puzzle.solution = absl::StrJoin(values, ", ");
  return puzzle;
}

}  // namespace ponder::data::puzzle
