// Sorting words, counting letters, tracking objects, the game of life.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/grid.h"
#include "data/puzzle/procedures.h"
#include "data/puzzle/random.h"
#include "data/puzzle/words.h"

namespace ponder::data::puzzle {
namespace {

Puzzle SortWords(Rng& rng, int level) {
  const std::vector<std::string> words = RandomWords(Scale(level, 4, 30), rng);
  const bool backwards = Chance(rng, 50);
  Puzzle puzzle;
  puzzle.instance.Set("words", words);
  puzzle.instance.Set("backwards", backwards ? 1 : 0);
  puzzle.question = absl::StrCat(
      "Sort these words ", backwards ? "in reverse alphabetical" : "alphabetically, in dictionary",
      " order: ", absl::StrJoin(words, " "), "\nAnswer with the words, separated by spaces.");
  puzzle.solution = absl::StrJoin(Sorted(words, backwards), " ");
  return puzzle;
}

Puzzle CountInWords(Rng& rng, int level) {
  const std::vector<std::string> words = RandomWords(Scale(level, 3, 16), rng);
  std::vector<char> common = {'a', 'e', 'i', 'l', 'n', 'o', 'r', 's', 't'};
  Shuffle(common, rng);
  const std::string letters(common.begin(), common.begin() + Scale(level, 2, 5));
  Puzzle puzzle;
  puzzle.instance.Set("words", words);
  puzzle.instance.Set("letters", letters);
  puzzle.question = absl::StrCat(
      "How often do the letters ", absl::StrJoin(absl::StrSplit(letters, absl::ByLength(1)), ", "),
      " each occur in all of these words together: ", absl::StrJoin(words, " "), "\nAnswer with ",
      letters.size(), " numbers in the order of the letters, separated by spaces.");
  puzzle.solution = absl::StrJoin(CountLetters(words, letters), " ");
  return puzzle;
}

Puzzle SwapObjects(Rng& rng, int level) {
  const int people = Scale(level, 3, 8), swaps = Scale(level, 3, 24);
  const std::vector<std::string> held = RandomWords(people, rng);
  std::vector<int> pairs;
  std::string story;
  for (int person = 0; person < people; ++person) {
    absl::StrAppend(&story, "Person ", person + 1, " holds the ", held[person], ".\n");
  }
  for (int i = 0; i < swaps; ++i) {
    const int a = Draw(rng, 0, people - 1), b = (a + Draw(rng, 1, people - 1)) % people;
    pairs.insert(pairs.end(), {a, b});
    absl::StrAppend(&story, "Persons ", a + 1, " and ", b + 1, " exchange what they hold.\n");
  }
  Puzzle puzzle;
  puzzle.instance.Set("held", held);
  puzzle.instance.Set("pairs", pairs);
  puzzle.question =
      absl::StrCat(story, "What does everybody hold in the end? Answer with the ", people,
                   " things, from person 1 to person ", people, ", separated by spaces.");
  puzzle.solution = absl::StrJoin(Exchanged(held, pairs), " ");
  return puzzle;
}

Puzzle LiveOn(Rng& rng, int level) {
  const int n = Scale(level, 4, 10), steps = Scale(level, 1, 5);
  std::vector<int> alive;
  for (int i = 0; i < n * n; ++i) alive.push_back(Chance(rng, 40) ? 1 : 0);
  Puzzle puzzle;
  puzzle.instance.Set("alive", alive);
  puzzle.instance.Set("cols", n);
  puzzle.instance.Set("steps", steps);
  puzzle.question = absl::StrCat(
      "In Conway's game of life a living cell (#) with two or three living neighbours, of the up "
      "to "
      "eight around it, lives on, a dead cell (.) with exactly three comes to life, and all others "
      "are dead in the next generation. Beyond the edges of this board everything is dead.\n\n",
      ShowMarks(alive, n, ".#"), "\n\nAnswer with the board after ", steps,
      steps == 1 ? " generation." : " generations.");
  puzzle.solution = ShowMarks(Generations(alive, n, steps), n, ".#");
  return puzzle;
}

}  // namespace

Puzzle MakeProcedure(Rng& rng, int level) {
  constexpr Puzzle (*kMakers[])(Rng&, int) = {SortWords, CountInWords, SwapObjects, LiveOn};
  const int task = Draw(rng, 0, 3);
  Puzzle puzzle = kMakers[task](rng, level);
  puzzle.instance.Set("task", std::string(kProcedures[task]));
  return puzzle;
}

}  // namespace ponder::data::puzzle
