// Each generated problem is worked out again by a small calculator of its own, which knows nothing
// of the generators.
#include "data/tasks.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/atomic_file.h"
#include "data/arithmetic.h"
#include "data/prompt_set.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace tasks_test {

using ::testing::HasSubstr;

// Whole-number expressions of + - * mod and brackets, by recursive descent.
class Calculator {
 public:
  explicit Calculator(std::string text) : text_(std::move(text)) {}
  int64_t Value() {
    const int64_t value = Sum();
    EXPECT_EQ(at_, text_.size()) << text_;
    return value;
  }

 private:
  bool Take(const std::string& word) {
    if (text_.compare(at_, word.size(), word) != 0) return false;
    at_ += word.size();
    return true;
  }
  int64_t Sum() {
    int64_t value = Term();
    while (true) {
      if (Take("+")) {
        value += Term();
      } else if (Take("-")) {
        value -= Term();
      } else {
        return value;
      }
    }
  }
  int64_t Term() {
    int64_t value = Factor();
    while (true) {
      if (Take("*")) {
        value *= Factor();
      } else if (Take("mod ")) {
        value %= Factor();
      } else {
        return value;
      }
    }
  }
  int64_t Factor() {
    if (Take("(")) {
      const int64_t value = Sum();
      EXPECT_TRUE(Take(")")) << text_;
      return value;
    }
    EXPECT_TRUE(at_ < text_.size() && std::isdigit(text_[at_])) << text_ << " at " << at_;
    int64_t value = 0;
    while (at_ < text_.size() && std::isdigit(text_[at_]))
      value = value * 10 + (text_[at_++] - '0');
    return value;
  }

  const std::string text_;
  size_t at_ = 0;
};

const std::string& Question(const Prompt& prompt) { return prompt.messages[0].content; }

// The same problem with its first two operands swapped, if they may be: "34+12+56=?" for
// "12+34+56=?"; else "".
std::string Swapped(const std::string& question) {
  const size_t first = question.find_first_of("0123456789");
  const size_t sign = question.find_first_not_of("0123456789", first);
  const size_t rest = question.find_first_not_of("0123456789", sign + 1);
  if ((question[sign] != '+' && question[sign] != '*') || rest == sign + 1) return "";
  return absl::StrCat(question.substr(0, first), question.substr(sign + 1, rest - sign - 1),
                      question.substr(sign, 1), question.substr(first, sign - first),
                      question.substr(rest));
}

class EveryTask : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryTask, AnswersAndStepsAreRight) {
  const auto set = MakeTaskSet(GetParam(), 3000, 500, 7);
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_EQ(set->train.size(), 3000u);
  ASSERT_EQ(set->eval.size(), 500u);
  size_t longest = 0;
  for (const Trace& trace : set->train) {
    const std::vector<std::string> sides = absl::StrSplit(Question(trace.prompt), "=");
    ASSERT_EQ(sides.size(), 2u);
    EXPECT_EQ(sides[1], "?");
    EXPECT_EQ(trace.prompt.gold, absl::StrCat(Calculator(sides[0]).Value()))
        << Question(trace.prompt);
    EXPECT_GE(Calculator(sides[0]).Value(), 0);
    EXPECT_EQ(trace.answer, trace.prompt.gold);
    std::string last;
    for (const std::string& step : std::vector<std::string>(absl::StrSplit(trace.thought, ';'))) {
      const std::vector<std::string> halves = absl::StrSplit(step, "=");
      ASSERT_EQ(halves.size(), 2u) << step;
      EXPECT_EQ(absl::StrCat(Calculator(halves[0]).Value()), halves[1]) << step;
      last = halves[1];
    }
    EXPECT_EQ(last, trace.answer) << trace.thought;
    longest = std::max(longest, trace.thought.size() + trace.answer.size() + 3);
  }
  EXPECT_LE(longest,
            56u);  // leaves room below quickstart.yaml's max_response_tokens - overlong_cache
  for (const Prompt& prompt : set->eval) {
    const std::string expression = Question(prompt).substr(0, Question(prompt).find('='));
    EXPECT_EQ(prompt.gold, absl::StrCat(Calculator(expression).Value())) << expression;
  }
}

TEST_P(EveryTask, HeldOutIsDisjointAlsoAcrossSeedsAndOrdersOfOperands) {
  const auto set = MakeTaskSet(GetParam(), 6000, 800, 7);
  const auto other = MakeTaskSet(GetParam(), 6000, 800, 8);
  ASSERT_TRUE(set.ok() && other.ok());
  std::set<std::string> ids, questions, trained;
  for (const TaskSet* each : {&*set, &*other}) {
    for (const Trace& trace : each->train) trained.insert(Question(trace.prompt));
  }
  for (const Trace& trace : set->train) {
    EXPECT_TRUE(ids.insert(trace.prompt.id).second);
    EXPECT_TRUE(questions.insert(Question(trace.prompt)).second);
  }
  for (const Prompt& prompt : set->eval) {
    EXPECT_TRUE(ids.insert(prompt.id).second);
    EXPECT_TRUE(questions.insert(Question(prompt)).second);
    EXPECT_EQ(trained.count(Question(prompt)), 0u) << Question(prompt);
    EXPECT_EQ(trained.count(Swapped(Question(prompt))), 0u) << Swapped(Question(prompt));
  }
}

TEST_P(EveryTask, IsAPureFunctionOfItsArguments) {
  const auto a = MakeTaskSet(GetParam(), 50, 50, 7);
  const auto b = MakeTaskSet(GetParam(), 50, 50, 7);
  const auto c = MakeTaskSet(GetParam(), 50, 50, 8);
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  int same = 0;
  for (size_t i = 0; i < 50; ++i) {
    EXPECT_EQ(a->train[i].prompt.id, b->train[i].prompt.id);
    EXPECT_EQ(a->eval[i].id, b->eval[i].id);
    same += a->train[i].prompt.id == c->train[i].prompt.id;
  }
  EXPECT_LT(same, 5);
}

TEST_P(EveryTask, AskingForTooManyIsAnError) {
  const auto set = MakeTaskSet(GetParam(), 1 << 30, 1, 7);
  ASSERT_EQ(set.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(set.status().message()),
              HasSubstr(absl::StrCat("task ", GetParam(), " has only ")));
  const auto eval = MakeTaskSet(GetParam(), 1, 1 << 30, 7);
  EXPECT_THAT(std::string(eval.status().message()), HasSubstr("distinct held-out prompts"));
}

INSTANTIATE_TEST_SUITE_P(Tasks, EveryTask,
                         ::testing::Values("sum3", "product", "chain", "modular"));

TEST(Tasks, ExamplesReadAsDocumented) {
  std::map<std::string, std::string> thoughts;
  for (const ProblemSpace& space : ProblemSpaces()) {
    for (int64_t number = 0; number < space.size; ++number) {
      const auto problem = space.problem(number);
      if (!problem.has_value()) continue;
      if (problem->question == "12+34+56=?" || problem->question == "47*36=?" ||
          problem->question == "47*6=?" || problem->question == "(12+5)*4-9=?" ||
          problem->question == "(34*7+15)mod 11=?") {
        EXPECT_TRUE(thoughts.emplace(problem->question, problem->thought).second);
      }
    }
  }
  EXPECT_EQ(thoughts, (std::map<std::string, std::string>{
                          {"12+34+56=?", "12+34=46;46+56=102"},
                          {"47*36=?", "47*30=1410;47*6=282;1410+282=1692"},
                          {"47*6=?", "40*6=240;7*6=42;240+42=282"},
                          {"(12+5)*4-9=?", "12+5=17;17*4=68;68-9=59"},
                          {"(34*7+15)mod 11=?", "34*7=238;238+15=253;253-11*23=0"},
                      }));
}

TEST(Tasks, UnknownTaskIsAnError) {
  EXPECT_EQ(MakeTaskSet("sum4", 1, 1, 7).status().message(),
            "no task is called 'sum4'; there are sum3, product, chain, modular");
}

TEST(Tasks, WrittenFilesReadBack) {
  const auto set = MakeTaskSet("chain", 20, 10, 7);
  ASSERT_TRUE(set.ok());
  const std::string folder = ::testing::TempDir() + "tasks_test/made";
  ASSERT_TRUE(WriteTaskSet(*set, folder).ok());
  for (const char* name : {"train", "eval", "sft"}) {
    const auto prompts = LoadPrompts(absl::StrCat(folder, "/", name, ".jsonl"), {});
    ASSERT_TRUE(prompts.ok()) << prompts.status();
    const bool is_eval = std::string(name) == "eval";
    ASSERT_EQ(prompts->prompts.size(), is_eval ? 10u : 20u);
    for (size_t i = 0; i < prompts->prompts.size(); ++i) {
      const Prompt& made = is_eval ? set->eval[i] : set->train[i].prompt;
      EXPECT_EQ(prompts->prompts[i].id, made.id);
      EXPECT_EQ(Question(prompts->prompts[i]), Question(made));
      EXPECT_EQ(prompts->prompts[i].gold, made.gold);
      EXPECT_EQ(prompts->prompts[i].source, "chain");
      EXPECT_EQ(prompts->prompts[i].difficulty, made.difficulty);
    }
  }
  const auto sft = ReadFile(folder + "/sft.jsonl");
  ASSERT_TRUE(sft.ok());
  const auto first = nlohmann::json::parse(sft->substr(0, sft->find('\n')));
  EXPECT_EQ(first["thought"], set->train[0].thought);
  EXPECT_EQ(first["answer"], set->train[0].answer);
}

TEST(Tasks, SetsThatShareAQuestionAreNotWritten) {
  auto set = MakeTaskSet("sum3", 5, 5, 7);
  ASSERT_TRUE(set.ok());
  set->eval[2].messages = set->train[3].prompt.messages;
  const std::string folder = ::testing::TempDir() + "tasks_test/shared";
  const absl::Status status = WriteTaskSet(*set, folder);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ReadFile(folder + "/train.jsonl").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace tasks_test
}  // namespace ponder::data
