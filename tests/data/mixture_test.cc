// Mixtures, functions, judged triples and preferences, each read back by a reading of its own.
#include "data/mixture.h"

#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "data/dialogue_file.h"
#include "data/function_set.h"
#include "data/judge_set.h"
#include "data/preference_set.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace mixture_test {

using ::testing::HasSubstr;
using Json = nlohmann::json;

const std::string& Question(const Prompt& prompt) { return prompt.messages[0].content; }

int64_t Number(absl::string_view text) {
  int64_t number = 0;
  EXPECT_TRUE(absl::SimpleAtoi(text, &number)) << text;
  return number;
}

// What the words of a question make of x.
int64_t FollowWords(absl::string_view words, int64_t x) {
  for (absl::string_view step : absl::StrSplit(words, ", then ")) {
    if (absl::ConsumePrefix(&step, "add ")) {
      x += Number(step);
    } else if (absl::ConsumePrefix(&step, "subtract ")) {
      x -= Number(step);
    } else if (absl::ConsumePrefix(&step, "times ")) {
      x *= Number(step);
    } else if (absl::ConsumePrefix(&step, "take from ")) {
      x = Number(step) - x;
    } else {
      EXPECT_EQ(step, "square");
      x *= x;
    }
  }
  return x;
}

// What a Python expression of x, numbers, brackets and one operator a level is worth at x.
int64_t Python(absl::string_view code, int64_t x) {
  const auto operand = [&](absl::string_view part) {
    if (part == "x") return x;
    if (absl::ConsumePrefix(&part, "(")) {
      EXPECT_TRUE(absl::ConsumeSuffix(&part, ")")) << part;
      return Python(part, x);
    }
    return Number(part);
  };
  int depth = 0;
  for (size_t i = 0; i < code.size(); ++i) {
    depth += code[i] == '(' ? 1 : code[i] == ')' ? -1 : 0;
    if (depth > 0 || (code[i] != '+' && code[i] != '-' && code[i] != '*')) continue;
    const int64_t left = operand(code.substr(0, i));
    if (code.substr(i) == "**2") return left * left;
    const int64_t right = operand(code.substr(i + 1));
    return code[i] == '+' ? left + right : code[i] == '-' ? left - right : left * right;
  }
  return operand(code);
}

TEST(Functions, WordsCodeAndTestsAgree) {
  for (int level = 1; level <= 3; ++level) {
    const auto set = MakeFunctionSet(level, 60, 8, 3);
    ASSERT_TRUE(set.ok()) << set.status();
    std::set<std::string> held_out;
    for (const Prompt& prompt : set->eval) held_out.insert(Question(prompt));
    for (const Trace& trace : set->train) {
      EXPECT_EQ(held_out.count(Question(trace.prompt)), 0u);
      absl::string_view words = Question(trace.prompt);
      ASSERT_TRUE(absl::ConsumePrefix(&words, "Write a Python function f(x): "));
      ASSERT_TRUE(absl::ConsumeSuffix(&words, "."));
      absl::string_view code = trace.answer;
      ASSERT_TRUE(absl::ConsumePrefix(&code, "def f(x): return "));
      EXPECT_EQ(code, trace.thought);
      const Json gold = Json::parse(trace.prompt.gold);
      EXPECT_EQ(gold["tests"]["function"], "f");
      for (const Json& one : gold["tests"]["cases"]) {
        const int64_t x = one["args"][0], want = one["output"];
        EXPECT_EQ(FollowWords(words, x), want) << words << " at " << x;
        EXPECT_EQ(Python(code, x), want) << code << " at " << x;
      }
      EXPECT_EQ(trace.prompt.kind, "code");
      EXPECT_EQ(trace.prompt.difficulty, level);
    }
  }
  EXPECT_EQ(MakeFunctionSet(5, 1, 1, 3).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeFunctionSet(1, 1000, 1, 3).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(Judges, SayYesToWhatEqualsTheReference) {
  int right = 0, all = 0;
  for (int level = 1; level <= 2; ++level) {
    const auto set = MakeJudgeSet("chain", level, 300, 20, 5);
    ASSERT_TRUE(set.ok()) << set.status();
    for (const Trace& trace : set->train) {
      const std::vector<std::string> parts =
          absl::StrSplit(Question(trace.prompt), absl::ByAnyChar(" ,:"), absl::SkipEmpty());
      // question reference R answer A right? YES or NO
      ASSERT_EQ(parts.size(), 9u) << Question(trace.prompt);
      absl::string_view answer = parts[4];
      if (!absl::ConsumePrefix(&answer, "=")) absl::ConsumePrefix(&answer, "+");
      double a = 0, b = 0;
      ASSERT_TRUE(absl::SimpleAtod(answer, &a) && absl::SimpleAtod(parts[2], &b));
      EXPECT_EQ(trace.answer, a == b ? "YES" : "NO") << Question(trace.prompt);
      EXPECT_EQ(absl::StrContains(trace.thought, "!="), a != b);
      const Json gold = Json::parse(trace.prompt.gold);
      EXPECT_EQ(gold["gold"], trace.answer);
      right += a == b;
      ++all;
    }
  }
  EXPECT_NEAR(static_cast<double>(right) / all, 0.5, 0.1);
  EXPECT_EQ(MakeJudgeSet("chain", 3, 1, 1, 5).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Mixtures, HoldWhatTheyAreAskedFor) {
  const auto set = MakeMixture("sum3:40, puzzle.boolean@1-3:31,code@2:10,judge.sum3", 5, 41, 9);
  ASSERT_TRUE(set.ok()) << set.status();
  std::map<std::string, int> train, eval;
  for (const Trace& trace : set->train) {
    const bool leveled = trace.prompt.source == "puzzle.boolean";
    ++train[absl::StrCat(trace.prompt.source, leveled ? trace.prompt.difficulty : 0)];
  }
  for (const Prompt& prompt : set->eval) ++eval[prompt.source];
  EXPECT_EQ(train, (std::map<std::string, int>{{"sum30", 40},
                                               {"puzzle.boolean1", 11},
                                               {"puzzle.boolean2", 10},
                                               {"puzzle.boolean3", 10},
                                               {"code0", 10},
                                               {"judge.sum30", 5}}));
  EXPECT_EQ(eval, (std::map<std::string, int>{
                      {"sum3", 11}, {"puzzle.boolean", 10}, {"code", 10}, {"judge.sum3", 10}}));
  std::set<std::string> first;
  for (int i = 0; i < 6; ++i) first.insert(set->eval[i].source);
  EXPECT_EQ(first.size(), 4u) << "the first ones are of all";
}

TEST(Mixtures, MistakesAreNamed) {
  const auto error = [](const std::string& text) {
    return std::string(MakeMixture(text, 5, 5, 1).status().message());
  };
  EXPECT_THAT(error("sum3,"), HasSubstr("'': there is no task"));
  EXPECT_THAT(error("sum3:many"), HasSubstr("'sum3:many': the count"));
  EXPECT_THAT(error("code@3-2"), HasSubstr("'code@3-2': the levels"));
  EXPECT_THAT(error("sum3@2"), HasSubstr("no levels to choose"));
  EXPECT_THAT(error("sum4"), HasSubstr("no task is called 'sum4'"));
  EXPECT_THAT(error("puzzle.chess"), HasSubstr("chess"));
}

TEST(Preferences, TheRejectedIsWrongAndTheFilesReadBack) {
  auto set = MakeMixture("sum3:50,code:10", 5, 5, 2);
  ASSERT_TRUE(set.ok()) << set.status();
  const std::string folder = ::testing::TempDir() + "preferences";
  ASSERT_TRUE(WritePreferenceFiles(*set, folder, 2).ok());
  const auto pairs = LoadPreferences(folder + "/preferences.jsonl");
  const auto dialogues = LoadDialogues(folder + "/dialogues.jsonl");
  ASSERT_TRUE(pairs.ok()) << pairs.status();
  ASSERT_TRUE(dialogues.ok()) << dialogues.status();
  ASSERT_EQ(pairs->size(), 60u);
  ASSERT_EQ(dialogues->size(), 60u);
  for (size_t i = 0; i < pairs->size(); ++i) {
    const Trace& trace = set->train[i];
    const ThoughtAndAnswer chosen = SplitThought((*pairs)[i].chosen);
    const ThoughtAndAnswer rejected = SplitThought((*pairs)[i].rejected);
    EXPECT_EQ(chosen.thought, trace.thought);
    EXPECT_EQ(chosen.answer, trace.answer);
    EXPECT_EQ((*dialogues)[i].response, (*pairs)[i].chosen);
    EXPECT_EQ((*pairs)[i].messages[0].content, Question(trace.prompt));
    EXPECT_NE(rejected.answer, trace.answer);
    if (trace.prompt.source != "sum3") continue;
    EXPECT_EQ(rejected.answer.size(), trace.answer.size());
    EXPECT_NE(rejected.answer[0], '0');
    EXPECT_TRUE(absl::EndsWith(rejected.thought, absl::StrCat("=", rejected.answer)));
  }
}

}  // namespace mixture_test
}  // namespace ponder::data
