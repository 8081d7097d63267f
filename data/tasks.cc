#include "data/tasks.h"

#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/atomic_file.h"
#include "base/philox.h"
#include "base/status.h"
#include "data/arithmetic.h"
#include "data/prompt_line.h"
#include "data/prompt_set.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace {

// One problem in this many is held out.
constexpr uint64_t kHeldOutShare = 8;

absl::StatusOr<ProblemSpace> FindSpace(const std::string& task) {
  std::vector<std::string> names;
  for (const ProblemSpace& space : ProblemSpaces()) {
    if (space.name == task) return space;
    names.emplace_back(space.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no task is called '", task, "'; there are ", absl::StrJoin(names, ", ")));
}

Prompt MakePrompt(const std::string& task, int64_t number, const Problem& problem) {
  return {absl::StrCat(task, "-", number),
          "math",
          {{"user", problem.question}},
          problem.answer,
          task,
          problem.difficulty};
}

}  // namespace

bool IsHeldOut(const std::string& task, const std::string& canonical) {
  const uint64_t hash = StableHash(absl::StrCat(task, "/", canonical));
  const auto mixed =
      Philox4x32({static_cast<uint32_t>(hash), static_cast<uint32_t>(hash >> 32), 0, 0}, {0, 0});
  return mixed[0] % kHeldOutShare == 0;
}

absl::StatusOr<TaskSet> MakeTaskSet(const std::string& task, int64_t train, int64_t eval,
                                    uint64_t seed) {
  PONDER_ASSIGN_OR_RETURN(const ProblemSpace space, FindSpace(task));
  if (train < 0 || eval < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("can't make ", train, " training and ", eval, " held-out prompts"));
  }
  std::vector<int64_t> numbers(space.size);
  std::iota(numbers.begin(), numbers.end(), 0);
  Rng rng(seed, absl::StrCat("task/", task));
  TaskSet set;
  const auto missing = [](int64_t wanted, size_t have) {
    return wanted > static_cast<int64_t>(have);
  };
  // Fisher and Yates' shuffle, only as far as it is needed.
  for (int64_t i = 0; i < space.size; ++i) {
    if (!missing(train, set.train.size()) && !missing(eval, set.eval.size())) break;
    std::swap(numbers[i], numbers[rng.NextInt(i, space.size - 1)]);
    std::optional<Problem> problem = space.problem(numbers[i]);
    if (!problem.has_value()) continue;
    Prompt prompt = MakePrompt(task, numbers[i], *problem);
    if (IsHeldOut(task, problem->canonical)) {
      if (missing(eval, set.eval.size())) set.eval.push_back(std::move(prompt));
    } else if (missing(train, set.train.size())) {
      set.train.push_back(
          {std::move(prompt), std::move(problem->thought), std::move(problem->answer)});
    }
  }
  if (missing(train, set.train.size())) {
    return absl::OutOfRangeError(
        absl::StrCat("task ", task, " has only ", set.train.size(), " distinct training prompts, ",
                     train, " are asked for; ask for fewer (--train, data.task.train_size)"));
  }
  if (missing(eval, set.eval.size())) {
    return absl::OutOfRangeError(
        absl::StrCat("task ", task, " has only ", set.eval.size(), " distinct held-out prompts, ",
                     eval, " are asked for; ask for fewer (--eval, data.task.eval_size)"));
  }
  return set;
}

absl::Status WriteTaskSet(const TaskSet& set, const std::string& folder) {
  std::set<std::string> trained;
  std::vector<Prompt> train;
  std::string sft;
  for (const Trace& trace : set.train) {
    nlohmann::ordered_json object = PromptToJson(trace.prompt);
    trained.insert(object["prompt"].dump());
    object["thought"] = trace.thought;
    object["answer"] = trace.answer;
    absl::StrAppend(&sft, object.dump(), "\n");
    train.push_back(trace.prompt);
  }
  for (const Prompt& prompt : set.eval) {
    if (trained.count(PromptToJson(prompt)["prompt"].dump()) > 0) {
      return absl::InternalError(
          absl::StrCat("the held-out prompt ", prompt.id, " is also in the training set"));
    }
  }
  PONDER_RETURN_IF_ERROR(MakeFolder(folder));
  PONDER_RETURN_IF_ERROR(WritePrompts(folder + "/train.jsonl", train));
  PONDER_RETURN_IF_ERROR(WritePrompts(folder + "/eval.jsonl", set.eval));
  return WriteFileAtomic(folder + "/sft.jsonl", sft);
}

}  // namespace ponder::data
