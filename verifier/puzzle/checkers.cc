#include "verifier/puzzle/checkers.h"

namespace ponder::verifier::puzzle {
namespace {

constexpr Checker kCheckers[] = {
    {"24", CheckTwentyFour},
    {"countdown", CheckCountdown},
    {"sudoku", CheckSudoku},
    {"maze", CheckMaze},
    {"knights", CheckKnights},
    {"zebra", CheckZebra},
    {"nqueens", CheckNQueens},
    {"futoshiki", CheckFutoshiki},
    {"calcudoku", CheckCalcudoku},
    {"skyscrapers", CheckSkyscrapers},
    {"takuzu", CheckTakuzu},
    {"star_battle", CheckStarBattle},
    {"minesweeper", CheckMinesweeper},
    {"survo", CheckSurvo},
    {"numbrix", CheckNumbrix},
    {"cryptarithm", CheckCryptarithm},
    {"sliding", CheckSliding},
    {"hanoi", CheckHanoi},
    {"graph", CheckGraph},
    {"boolean", CheckBoolean},
    {"cipher", CheckCipher},
    {"procedure", CheckProcedure},
};

}  // namespace

absl::Span<const Checker> Checkers() { return kCheckers; }

}  // namespace ponder::verifier::puzzle
