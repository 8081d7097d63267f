#include "data/puzzle/generators.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ponder::data::puzzle {
namespace {

constexpr Generator kGenerators[] = {
    {"24", MakeTwentyFour},
    {"countdown", MakeCountdown},
    {"sudoku", MakeSudoku},
    {"maze", MakeMaze},
    {"knights", MakeKnights},
    {"zebra", MakeZebra},
    {"nqueens", MakeNQueens},
    {"futoshiki", MakeFutoshiki},
    {"calcudoku", MakeCalcudoku},
    {"skyscrapers", MakeSkyscrapers},
    {"takuzu", MakeTakuzu},
    {"star_battle", MakeStarBattle},
    {"minesweeper", MakeMinesweeper},
    {"survo", MakeSurvo},
    {"numbrix", MakeNumbrix},
    {"cryptarithm", MakeCryptarithm},
    {"sliding", MakeSliding},
    {"hanoi", MakeHanoi},
    {"graph", MakeGraph},
    {"boolean", MakeBoolean},
    {"cipher", MakeCipher},
    {"procedure", MakeProcedure},
};

}  // namespace

absl::Span<const Generator> Generators() { return kGenerators; }

absl::StatusOr<Puzzle> MakePuzzle(absl::string_view family, int level, uint64_t seed) {
  if (level < 1 || level > 10) {
    return absl::InvalidArgumentError(
        absl::StrCat("puzzles have levels 1 to 10, level ", level, " is asked for"));
  }
  std::vector<absl::string_view> known;
  for (const Generator& generator : Generators()) {
    known.push_back(generator.family);
    if (generator.family != family) continue;
    Rng rng(seed, absl::StrCat("puzzle/", family, "/", level));
    Puzzle puzzle = generator.make(rng, level);
    absl::StrAppend(&puzzle.question,
                    "\nWrite the final answer, and nothing else, between <answer> and </answer>.");
    return puzzle;
  }
  return absl::InvalidArgumentError(absl::StrCat("no puzzle family is called '", family,
                                                 "'; there are ", absl::StrJoin(known, ", ")));
}

}  // namespace ponder::data::puzzle
