#include "data/mixture.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "data/function_set.h"
#include "data/judge_set.h"
#include "data/puzzle/puzzle_set.h"

namespace ponder::data {
namespace {

struct Part {
  std::string task;
  int first_level = 1, last_level = 1;
  int64_t train = 0;
};

absl::StatusOr<Part> ParsePart(absl::string_view text, int64_t train) {
  Part part;
  part.train = train;
  const auto bad = [&](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "': ", what,
                     "; write task, task@level, task@first-last, and :count "
                     "after it, for example puzzle.boolean@1-3:2000"));
  };
  const std::vector<absl::string_view> counted = absl::StrSplit(text, absl::MaxSplits(':', 1));
  if (counted.size() == 2 && (!absl::SimpleAtoi(counted[1], &part.train) || part.train < 1)) {
    return bad("the count is not a whole number above 0");
  }
  const std::vector<absl::string_view> leveled =
      absl::StrSplit(counted[0], absl::MaxSplits('@', 1));
  part.task = std::string(leveled[0]);
  if (part.task.empty()) return bad("there is no task");
  if (leveled.size() == 1) return part;
  const std::vector<absl::string_view> range = absl::StrSplit(leveled[1], absl::MaxSplits('-', 1));
  if (!absl::SimpleAtoi(range.front(), &part.first_level) ||
      !absl::SimpleAtoi(range.back(), &part.last_level) || part.first_level < 1 ||
      part.last_level < part.first_level || part.last_level > 100) {
    return bad("the levels are not whole numbers in order");
  }
  return part;
}

absl::StatusOr<TaskSet> MakeOne(absl::string_view task, int level, int64_t train, int64_t eval,
                                uint64_t seed) {
  absl::string_view rest = task;
  if (absl::ConsumePrefix(&rest, "puzzle.")) {
    return puzzle::MakePuzzleSet(rest, level, train, eval, seed);
  }
  if (absl::ConsumePrefix(&rest, "judge.")) return MakeJudgeSet(rest, level, train, eval, seed);
  if (task == "code") return MakeFunctionSet(level, train, eval, seed);
  if (level != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("task ", task, " has no levels to choose from; leave '@", level, "' out"));
  }
  return MakeTaskSet(std::string(task), train, eval, seed);
}

// The i-th of n nearly equal parts of a whole.
int64_t Share(int64_t whole, int64_t n, int64_t i) { return whole / n + (i < whole % n); }

}  // namespace

absl::StatusOr<TaskSet> MakeMixture(absl::string_view mixture, int64_t train, int64_t eval,
                                    uint64_t seed) {
  std::vector<Part> parts;
  for (const absl::string_view text : absl::StrSplit(mixture, ',')) {
    PONDER_ASSIGN_OR_RETURN(Part part, ParsePart(absl::StripAsciiWhitespace(text), train));
    parts.push_back(std::move(part));
  }
  if (train < 0 || eval < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("can't make ", train, " training and ", eval, " held-out prompts"));
  }
  TaskSet mixed;
  std::vector<std::vector<Prompt>> held_out_of;  // by part and level
  for (size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    const int64_t held_out =
        Share(eval, static_cast<int64_t>(parts.size()), static_cast<int64_t>(i));
    const int64_t levels = part.last_level - part.first_level + 1;
    for (int64_t l = 0; l < levels; ++l) {
      PONDER_ASSIGN_OR_RETURN(
          TaskSet set, MakeOne(part.task, part.first_level + static_cast<int>(l),
                               Share(part.train, levels, l), Share(held_out, levels, l), seed));
      for (Trace& trace : set.train) mixed.train.push_back(std::move(trace));
      held_out_of.push_back(std::move(set.eval));
    }
  }
  // In turn, so that the first ones of them are a mixture too.
  for (size_t i = 0; static_cast<int64_t>(mixed.eval.size()) < eval; ++i) {
    for (std::vector<Prompt>& prompts : held_out_of) {
      if (i < prompts.size()) mixed.eval.push_back(std::move(prompts[i]));
    }
  }
  return mixed;
}

}  // namespace ponder::data
