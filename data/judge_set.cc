#include "data/judge_set.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/philox.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace {

constexpr int kMaxLevel = 2;

// Another number, by one digit or by one more or less.
std::string Wrong(const std::string& number, Rng& rng) {
  std::string wrong = number;
  char& digit = wrong[static_cast<size_t>(rng.NextInt(0, static_cast<int64_t>(wrong.size()) - 1))];
  digit = static_cast<char>('0' + (digit - '0' + rng.NextInt(1, 9)) % 10);
  if (wrong.size() > 1 && wrong[0] == '0') wrong[0] = number[0] == '9' ? '1' : number[0] + 1;
  return wrong;
}

std::string Wrapped(const std::string& number, Rng& rng) {
  switch (rng.NextInt(0, 3)) {
    case 0:
      return absl::StrCat(number, ".0");
    case 1:
      return absl::StrCat("=", number);
    case 2:
      return absl::StrCat("+", number);
    default:
      return number;
  }
}

// Digit by digit, up to the first difference.
std::string Comparison(const std::string& reference, const std::string& number) {
  std::string thought;
  for (size_t i = 0; i < std::max(reference.size(), number.size()); ++i) {
    const std::string a = i < reference.size() ? reference.substr(i, 1) : "";
    const std::string b = i < number.size() ? number.substr(i, 1) : "";
    absl::StrAppend(&thought, i > 0 ? ";" : "", a, a == b ? "=" : "!=", b);
    if (a != b) break;
  }
  return thought;
}

Trace MakeTriple(const Prompt& problem, const std::string& source, int level, Rng& rng) {
  const bool right = rng.NextInt(0, 1) == 1;
  const std::string number = right ? problem.gold : Wrong(problem.gold, rng);
  const std::string shown = level > 1 ? Wrapped(number, rng) : number;
  const nlohmann::ordered_json gold = {{"gold", right ? "YES" : "NO"}, {"options", {"YES", "NO"}}};
  Trace trace;
  trace.prompt = {absl::StrCat(source, "-", level, "-", problem.id),
                  "choice",
                  {{"user", absl::StrCat(problem.messages[0].content, " reference ", problem.gold,
                                         ", answer ", shown, ": right? YES or NO")}},
                  gold.dump(),
                  source,
                  level};
  trace.thought = Comparison(problem.gold, number);
  trace.answer = right ? "YES" : "NO";
  return trace;
}

}  // namespace

absl::StatusOr<TaskSet> MakeJudgeSet(absl::string_view task, int level, int64_t train, int64_t eval,
                                     uint64_t seed) {
  const std::string source = absl::StrCat("judge.", task);
  if (level < 1 || level > kMaxLevel) {
    return absl::InvalidArgumentError(
        absl::StrCat("task ", source, " has levels 1 and ", kMaxLevel, ", not ", level));
  }
  PONDER_ASSIGN_OR_RETURN(const TaskSet problems,
                          MakeTaskSet(std::string(task), train, eval, seed));
  Rng rng(seed, absl::StrCat("task/", source, "/", level));
  TaskSet set;
  for (const Trace& problem : problems.train) {
    set.train.push_back(MakeTriple(problem.prompt, source, level, rng));
  }
  for (const Prompt& problem : problems.eval) {
    set.eval.push_back(MakeTriple(problem, source, level, rng).prompt);
  }
  return set;
}

}  // namespace ponder::data
