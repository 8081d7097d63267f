#include "data/puzzle/puzzle_set.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/philox.h"
#include "base/status.h"
#include "data/puzzle/generators.h"

namespace ponder::data::puzzle {
namespace {

constexpr int kMaxRepeats = 2000;  // puzzles in a row that were of no use

}  // namespace

absl::StatusOr<TaskSet> MakePuzzleSet(absl::string_view family, int level, int64_t train,
                                      int64_t eval, uint64_t seed) {
  if (train < 0 || eval < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("can't make ", train, " training and ", eval, " held-out prompts"));
  }
  const std::string source = absl::StrCat("puzzle.", family);
  Rng rng(seed, absl::StrCat("task/", source, "/", level));
  TaskSet set;
  std::set<std::string> seen;
  const auto missing = [](int64_t wanted, size_t have) {
    return wanted > static_cast<int64_t>(have);
  };
  for (int repeats = 0; missing(train, set.train.size()) || missing(eval, set.eval.size());) {
    const uint64_t puzzle_seed = rng.NextU64();
    PONDER_ASSIGN_OR_RETURN(Puzzle puzzle, MakePuzzle(family, level, puzzle_seed));
    Gold gold{std::string(family), std::move(puzzle.instance)};
    std::string json = gold.ToJson();
    const bool held_out = IsHeldOut(source, json);
    if (!missing(held_out ? eval : train, held_out ? set.eval.size() : set.train.size()) ||
        !seen.insert(json).second) {
      if (++repeats < kMaxRepeats) continue;
      return absl::OutOfRangeError(absl::StrCat(
          "only ", set.train.size(), " training and ", set.eval.size(), " held-out puzzles of ",
          family, " were found at level ", level, "; ask for fewer or for a higher level"));
    }
    repeats = 0;
    Prompt prompt{absl::StrCat(source, "-", level, "-", absl::Hex(puzzle_seed, absl::kZeroPad16)),
                  "puzzle",
                  {{"user", std::move(puzzle.question)}},
                  std::move(json),
                  source,
                  level};
    if (held_out) {
      set.eval.push_back(std::move(prompt));
    } else {
      set.train.push_back(
          {std::move(prompt), "", absl::StrCat("<answer>", puzzle.solution, "</answer>")});
    }
  }
  return set;
}

}  // namespace ponder::data::puzzle
