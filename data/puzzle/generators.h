// The puzzle families: seeded generators. docs/puzzles.md says what a level changes, how an answer
// is written and how it is checked (verifier/puzzle/).
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/philox.h"
#include "data/puzzle/instance.h"

namespace ponder::data::puzzle {

// A value. The solution is one right answer in the form that the question asks for, found while the
// puzzle was made; the verifier never sees it.
struct Puzzle {
  Instance instance;
  std::string question;
  std::string solution;
};

// Generators draw from `rng` alone and return in bounded time. `level` is 1 to 10.
Puzzle MakeTwentyFour(Rng& rng, int level);
Puzzle MakeCountdown(Rng& rng, int level);
Puzzle MakeSudoku(Rng& rng, int level);
Puzzle MakeMaze(Rng& rng, int level);
Puzzle MakeKnights(Rng& rng, int level);
Puzzle MakeZebra(Rng& rng, int level);
Puzzle MakeNQueens(Rng& rng, int level);
Puzzle MakeFutoshiki(Rng& rng, int level);
Puzzle MakeCalcudoku(Rng& rng, int level);
Puzzle MakeSkyscrapers(Rng& rng, int level);
Puzzle MakeTakuzu(Rng& rng, int level);
Puzzle MakeStarBattle(Rng& rng, int level);
Puzzle MakeMinesweeper(Rng& rng, int level);
Puzzle MakeSurvo(Rng& rng, int level);
Puzzle MakeNumbrix(Rng& rng, int level);
Puzzle MakeCryptarithm(Rng& rng, int level);
Puzzle MakeSliding(Rng& rng, int level);
Puzzle MakeHanoi(Rng& rng, int level);
Puzzle MakeGraph(Rng& rng, int level);
Puzzle MakeBoolean(Rng& rng, int level);
Puzzle MakeCipher(Rng& rng, int level);
Puzzle MakeProcedure(Rng& rng, int level);

struct Generator {
  const char* family;
  Puzzle (*make)(Rng& rng, int level);
};

absl::Span<const Generator> Generators();

// The puzzle of a family that `seed` names: a pure function of the arguments. The question ends
// with how to mark the answer. InvalidArgument: no such family, or no such level.
absl::StatusOr<Puzzle> MakePuzzle(absl::string_view family, int level, uint64_t seed);

}  // namespace ponder::data::puzzle
