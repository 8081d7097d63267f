// The rules of each puzzle family: does an answer solve an instance? Nothing is compared with a
// stored answer, and no answer is ever run. docs/puzzles.md has the table.
#pragma once

#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/types.h"
#include "data/puzzle/instance.h"

namespace ponder::verifier::puzzle {

using data::puzzle::InstanceReader;

// A value. Outcome kError: the instance is at fault; kTimeout: a proof took too long.
struct Finding {
  Verdict::Outcome outcome = Verdict::Outcome::kError;
  std::string reason;
};

inline Finding Correct() { return {Verdict::Outcome::kCorrect, ""}; }
inline Finding Wrong(std::string reason) { return {Verdict::Outcome::kWrong, std::move(reason)}; }
inline Finding Unreadable(std::string expected) {
  return {Verdict::Outcome::kUnparsable, "expected " + std::move(expected)};
}
inline Finding BadInstance(const InstanceReader& in) {
  return {Verdict::Outcome::kError, in.error()};
}

// Checkers accept any instance and any answer, and take bounded time.
Finding CheckTwentyFour(InstanceReader& in, absl::string_view answer);
Finding CheckCountdown(InstanceReader& in, absl::string_view answer);
Finding CheckSudoku(InstanceReader& in, absl::string_view answer);
Finding CheckMaze(InstanceReader& in, absl::string_view answer);
Finding CheckKnights(InstanceReader& in, absl::string_view answer);
Finding CheckZebra(InstanceReader& in, absl::string_view answer);
Finding CheckNQueens(InstanceReader& in, absl::string_view answer);
Finding CheckFutoshiki(InstanceReader& in, absl::string_view answer);
Finding CheckCalcudoku(InstanceReader& in, absl::string_view answer);
Finding CheckSkyscrapers(InstanceReader& in, absl::string_view answer);
Finding CheckTakuzu(InstanceReader& in, absl::string_view answer);
Finding CheckStarBattle(InstanceReader& in, absl::string_view answer);
Finding CheckMinesweeper(InstanceReader& in, absl::string_view answer);
Finding CheckSurvo(InstanceReader& in, absl::string_view answer);
Finding CheckNumbrix(InstanceReader& in, absl::string_view answer);
Finding CheckCryptarithm(InstanceReader& in, absl::string_view answer);
Finding CheckSliding(InstanceReader& in, absl::string_view answer);
Finding CheckHanoi(InstanceReader& in, absl::string_view answer);
Finding CheckGraph(InstanceReader& in, absl::string_view answer);
Finding CheckBoolean(InstanceReader& in, absl::string_view answer);
Finding CheckCipher(InstanceReader& in, absl::string_view answer);
Finding CheckProcedure(InstanceReader& in, absl::string_view answer);

struct Checker {
  const char* family;
  Finding (*check)(InstanceReader& in, absl::string_view answer);
};

// In the order of data::puzzle::Generators().
absl::Span<const Checker> Checkers();

}  // namespace ponder::verifier::puzzle
