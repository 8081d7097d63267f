#include "data/function_set.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/philox.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace {

constexpr int kMaxLevel = 4;
constexpr int kMaxRepeats = 2000;  // functions in a row that were of no use
// Far enough apart to tell polynomials of these degrees from one another.
constexpr int64_t kArguments[] = {-7, -1, 0, 2, 5, 11};

struct Operation {
  enum class Kind { kAdd, kSubtract, kTimes, kFrom, kSquare };
  Kind kind = Kind::kAdd;
  int64_t number = 0;
};

std::string Words(const Operation& operation) {
  switch (operation.kind) {
    case Operation::Kind::kAdd:
      return absl::StrCat("add ", operation.number);
    case Operation::Kind::kSubtract:
      return absl::StrCat("subtract ", operation.number);
    case Operation::Kind::kTimes:
      return absl::StrCat("times ", operation.number);
    case Operation::Kind::kFrom:
      return absl::StrCat("take from ", operation.number);
    case Operation::Kind::kSquare:
      break;
  }
  return "square";
}

int64_t Apply(const Operation& operation, int64_t x) {
  switch (operation.kind) {
    case Operation::Kind::kAdd:
      return x + operation.number;
    case Operation::Kind::kSubtract:
      return x - operation.number;
    case Operation::Kind::kTimes:
      return x * operation.number;
    case Operation::Kind::kFrom:
      return operation.number - x;
    case Operation::Kind::kSquare:
      break;
  }
  return x * x;
}

// As Python; `inner` binds tightly.
std::string Code(const Operation& operation, const std::string& inner) {
  switch (operation.kind) {
    case Operation::Kind::kAdd:
      return absl::StrCat(inner, "+", operation.number);
    case Operation::Kind::kSubtract:
      return absl::StrCat(inner, "-", operation.number);
    case Operation::Kind::kTimes:
      return absl::StrCat(inner, "*", operation.number);
    case Operation::Kind::kFrom:
      return absl::StrCat(operation.number, "-", inner);
    case Operation::Kind::kSquare:
      break;
  }
  return absl::StrCat(inner, "**2");
}

struct Function {
  std::string words, code;
  std::vector<int64_t> values;  // at kArguments
};

Function MakeFunction(int level, Rng& rng) {
  std::vector<std::string> words;
  Function function{"", "x", {std::begin(kArguments), std::end(kArguments)}};
  bool squared = false;
  for (int i = 0; i < level; ++i) {
    Operation operation;
    // One square at most, so that values stay small.
    operation.kind = static_cast<Operation::Kind>(rng.NextInt(0, squared ? 3 : 4));
    operation.number = rng.NextInt(2, operation.kind == Operation::Kind::kTimes ? 9 : 30);
    squared |= operation.kind == Operation::Kind::kSquare;
    words.push_back(Words(operation));
    function.code = Code(operation, i == 0 ? "x" : absl::StrCat("(", function.code, ")"));
    for (int64_t& value : function.values) value = Apply(operation, value);
  }
  function.words = absl::StrJoin(words, ", then ");
  return function;
}

Prompt MakePrompt(const Function& function, int level) {
  nlohmann::ordered_json cases = nlohmann::ordered_json::array();
  for (size_t i = 0; i < function.values.size(); ++i) {
    cases.push_back({{"args", {kArguments[i]}}, {"output", function.values[i]}});
  }
  const nlohmann::ordered_json gold = {{"language", "python"},
                                       {"tests", {{"function", "f"}, {"cases", std::move(cases)}}}};
  return {absl::StrCat("code-", absl::Hex(StableHash(function.words), absl::kZeroPad16)),
          "code",
          {{"user", absl::StrCat("Write a Python function f(x): ", function.words, ".")}},
          gold.dump(),
          "code",
          level};
}

}  // namespace

absl::StatusOr<TaskSet> MakeFunctionSet(int level, int64_t train, int64_t eval, uint64_t seed) {
  if (level < 1 || level > kMaxLevel) {
    return absl::InvalidArgumentError(
        absl::StrCat("task code has levels 1 to ", kMaxLevel, ", not ", level));
  }
  if (train < 0 || eval < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("can't make ", train, " training and ", eval, " held-out prompts"));
  }
  Rng rng(seed, absl::StrCat("task/code/", level));
  TaskSet set;
  std::set<std::string> seen;
  const auto missing = [](int64_t wanted, size_t have) {
    return wanted > static_cast<int64_t>(have);
  };
  for (int repeats = 0; missing(train, set.train.size()) || missing(eval, set.eval.size());) {
    const Function function = MakeFunction(level, rng);
    const bool held_out = IsHeldOut("code", function.words);
    if (!missing(held_out ? eval : train, held_out ? set.eval.size() : set.train.size()) ||
        !seen.insert(function.words).second) {
      if (++repeats < kMaxRepeats) continue;
      return absl::OutOfRangeError(
          absl::StrCat("only ", set.train.size(), " training and ", set.eval.size(),
                       " held-out functions were found at level ", level, "; ask for fewer"));
    }
    repeats = 0;
    Prompt prompt = MakePrompt(function, level);
    if (held_out) {
      set.eval.push_back(std::move(prompt));
    } else {
      set.train.push_back(
          {std::move(prompt), function.code, absl::StrCat("def f(x): return ", function.code)});
    }
  }
  return set;
}

}  // namespace ponder::data
