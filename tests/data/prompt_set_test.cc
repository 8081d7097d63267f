#include "data/prompt_set.h"

#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "data/prompt_line.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace prompt_set_test {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const PromptSetOptions kLong{1 << 20, ""};

std::string Error(const std::string& jsonl) {
  const auto set = ParsePrompts(jsonl, "x.jsonl", kLong);
  return set.ok() ? "no error" : std::string(set.status().message());
}

constexpr char kGood[] = R"({"id": "a", "kind": "math", "prompt": "1+1=?", "gold": "2"})";

TEST(PromptSet, ReadsOurLayout) {
  const auto set = ParsePrompts(
      std::string(kGood) + "\r\n" +
          R"({"id": "b", "kind": "choice", "prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "ü"}],)"
          R"( "gold": 7, "source": "mine", "difficulty": 3, "note": [{"other": "columns"}]})",
      "x.jsonl", kLong);
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_EQ(set->prompts.size(), 2u);
  EXPECT_EQ(set->prompts[0].id, "a");
  EXPECT_EQ(set->prompts[0].kind, "math");
  ASSERT_EQ(set->prompts[0].messages.size(), 1u);
  EXPECT_EQ(set->prompts[0].messages[0].role, "user");
  EXPECT_EQ(set->prompts[0].messages[0].content, "1+1=?");
  EXPECT_EQ(set->prompts[0].source, "");
  EXPECT_EQ(set->prompts[1].kind, "choice");
  ASSERT_EQ(set->prompts[1].messages.size(), 2u);
  EXPECT_EQ(set->prompts[1].messages[1].content, "ü");
  EXPECT_EQ(set->prompts[1].gold, "7");
  EXPECT_EQ(set->prompts[1].source, "mine");
  EXPECT_EQ(set->prompts[1].difficulty, 3);
}

TEST(PromptSet, ReadsGsm8ksOwnFile) {
  const auto set = LoadPrompts(PONDER_SOURCE_DIR "/tests/data/gsm8k_train_50.jsonl", kLong);
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_EQ(set->prompts.size(), 50u);
  EXPECT_EQ(set->prompts[0].id, "gsm8k-1");
  EXPECT_EQ(set->prompts[0].kind, "math");
  EXPECT_EQ(set->prompts[0].source, "gsm8k");
  EXPECT_EQ(set->prompts[0].gold, "72");
  EXPECT_THAT(set->prompts[0].messages[0].content,
              StartsWith("Natalia sold clips to 48 of her friends"));
  EXPECT_EQ(set->prompts[49].id, "gsm8k-50");
}

TEST(PromptSet, Gsm8kAnswersLoseTheirCommas) {
  const auto gold = [](const std::string& answer) {
    const auto prompt =
        ParsePromptLine(nlohmann::json{{"question", "q"}, {"answer", answer}}.dump(), 1);
    return prompt.ok() ? prompt->gold : "error";
  };
  EXPECT_EQ(gold("a\n#### 1,234,567"), "1234567");
  EXPECT_EQ(gold("#### 1\n#### -2.5 \n"), "-2.5");
  for (const char* bad :
       {"72", "", "####", "#### ", "#### many", "#### 3 apples", "#### 3-4", "#### -", "## 3"}) {
    EXPECT_EQ(gold(bad), "error") << bad;
  }
}

TEST(PromptSet, ReadsVerlsLayout) {
  const auto set = LoadPrompts(PONDER_SOURCE_DIR "/tests/data/verl_layout.jsonl", kLong);
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_EQ(set->prompts.size(), 3u);
  EXPECT_EQ(set->prompts[0].id, "openai/gsm8k-0");
  EXPECT_EQ(set->prompts[0].source, "openai/gsm8k");
  EXPECT_EQ(set->prompts[0].gold, "42");
  EXPECT_EQ(set->prompts[1].id, "math_dapo-9a9b6eb4");
  EXPECT_EQ(set->prompts[1].kind, "math");
  EXPECT_EQ(set->prompts[1].gold, "1024");
  EXPECT_EQ(set->prompts[1].messages[0].role, "system");
  EXPECT_EQ(set->prompts[2].id, "verl-3");
}

TEST(PromptSet, BrokenLinesAreNamedWithWhatToDo) {
  const std::string good = std::string(kGood) + "\n";
  const auto second = [&](const std::string& line) { return Error(good + line + "\n" + good); };
  EXPECT_EQ(second(R"({"id": "b", "prompt": "1)"),
            "x.jsonl:2: not valid JSON at column 25; mend the line or take it out");
  EXPECT_EQ(second("{} {}"), "x.jsonl:2: not valid JSON at column 4; mend the line or take it out");
  EXPECT_EQ(second("{\"id\": 5e824}"),
            "x.jsonl:2: a number is too large for a double; write it as text");
  EXPECT_EQ(second("[]"), "x.jsonl:2: not a JSON object; each line is one {...}");
  EXPECT_EQ(second(""), "x.jsonl:2: an empty line; take it out");
  EXPECT_THAT(second("{}"), StartsWith("x.jsonl:2: no known layout; a line needs "));
  EXPECT_EQ(second(R"({"id": "b", "gold": "1"})"),
            "x.jsonl:2: no 'prompt'; add it as text or as a list of messages");
  EXPECT_EQ(second(R"({"id": "b", "prompt": "q"})"), "x.jsonl:2: no 'gold'; add it");
  EXPECT_EQ(second(R"({"prompt": "q", "gold": "1"})"), "x.jsonl:2: no 'id'; add it");
  EXPECT_EQ(second(R"({"id": "", "prompt": "q", "gold": "1"})"), "x.jsonl:2: 'id' is empty");
  EXPECT_EQ(second(R"({"id": "b", "prompt": "q", "gold": ""})"), "x.jsonl:2: 'gold' is empty");
  EXPECT_EQ(second(R"({"id": "b", "prompt": "q", "gold": 0.5})"),
            "x.jsonl:2: 'gold' must be text, not number");
  EXPECT_EQ(second(R"({"id": "b", "prompt": "", "gold": "1"})"), "x.jsonl:2: 'prompt' is empty");
  EXPECT_THAT(second(R"({"id": "b", "prompt": [], "gold": "1"})"),
              HasSubstr("'prompt' must be text or a list"));
  EXPECT_THAT(second(R"({"id": "b", "prompt": ["q"], "gold": "1"})"),
              HasSubstr("message 0 of 'prompt' must be"));
  EXPECT_EQ(second(R"({"id": "b", "prompt": [{"role": "user"}], "gold": "1"})"),
            "x.jsonl:2: message 0 of 'prompt': no 'content'; add it");
  EXPECT_EQ(second(R"({"id": "b", "prompt": [{"role": "robot", "content": "q"}], "gold": "1"})"),
            "x.jsonl:2: message 0 has the role 'robot'; it must be system, user or assistant");
  EXPECT_THAT(second(R"({"id": "b", "kind": "maths", "prompt": "q", "gold": "1"})"),
              StartsWith("x.jsonl:2: 'kind' is 'maths'; it must be one of math, code"));
  for (const char* bad : {"-1", "1.5", "\"3\"", "2147483648", "18446744073709551615"}) {
    EXPECT_THAT(second(R"({"id": "b", "prompt": "q", "gold": "1", "difficulty": )" +
                       std::string(bad) + "}"),
                StartsWith("x.jsonl:2: 'difficulty' must be a whole number"));
  }
  EXPECT_EQ(second(R"({"id": "b", "prompt": "q", "gold": "1", "gold": "2"})"),
            "x.jsonl:2: key 'gold' is given twice");
  EXPECT_EQ(second(R"({"question": "q", "answer": "72"})"),
            "x.jsonl:2: 'answer' must end in '#### n' with the number n, as in GSM8K");
  EXPECT_EQ(second(R"({"question": "q"})"), "x.jsonl:2: no 'answer'; add it");
  EXPECT_EQ(second(R"({"prompt": "q", "reward_model": {}})"),
            "x.jsonl:2: 'reward_model': no 'ground_truth'; add it");
  EXPECT_THAT(second(R"({"prompt": "q", "reward_model": 3})"),
              HasSubstr("'reward_model' must be an object"));
  EXPECT_EQ(second(kGood), "x.jsonl:2: the id 'a' is that of line 1; ids must be unique");
}

TEST(PromptSet, InvalidUtf8IsAnError) {
  for (const char* bad : {"\xff", "\xc3", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xc0\x80"}) {
    EXPECT_THAT(Error(std::string(R"({"id": "b", "gold": "1", "prompt": ")") + bad + "\"}"),
                StartsWith("x.jsonl:1: not valid UTF-8 at column "));
  }
}

TEST(PromptSet, AnEmptyOrMissingFileIsAnError) {
  EXPECT_THAT(Error(""), StartsWith("x.jsonl: the file is empty"));
  EXPECT_EQ(Error("\n"), "x.jsonl:1: an empty line; take it out");
  EXPECT_EQ(LoadPrompts("/nowhere/x.jsonl", kLong).status().code(), absl::StatusCode::kNotFound);
}

TEST(PromptSet, TooLongPromptsAreDroppedAndNamed) {
  const std::string jsonl = R"({"id": "short", "prompt": "1234567", "gold": "1"})"
                            "\n"
                            R"({"id": "long", "prompt": "12345678", "gold": "1"})";
  // <user> and <assistant> make 9 and 10 tokens of them; a system prompt of two bytes adds three.
  auto set = ParsePrompts(jsonl, "x.jsonl", {9, ""});
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_EQ(set->prompts.size(), 1u);
  EXPECT_EQ(set->prompts[0].id, "short");
  ASSERT_EQ(set->dropped.size(), 1u);
  EXPECT_EQ(set->dropped[0].id, "long");
  EXPECT_EQ(set->dropped[0].tokens, 10);
  set = ParsePrompts(jsonl, "x.jsonl", {12, "ab"});
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(set->dropped.size(), 1u);
  EXPECT_EQ(
      ParsePrompts(jsonl, "x.jsonl", {8, ""}).status().message(),
      "x.jsonl: every prompt is too long: the shortest has 9 tokens, data.max_prompt_tokens is 8");
}

TEST(PromptSet, WritesWhatItReads) {
  const std::vector<Prompt> prompts = {
      {"a", "math", {{"user", "line\nbreak \"quoted\" \xc3\xbc"}}, "2", "mine", 3},
      {"b", "code", {{"system", "s"}, {"user", "q"}, {"assistant", "r"}, {"user", ""}}, "x", "", 0},
      {"c", "judge", {{"assistant", "alone"}}, "y", "", 0},
  };
  const std::string path = ::testing::TempDir() + "prompt_set_test.jsonl";
  ASSERT_TRUE(WritePrompts(path, prompts).ok());
  const auto set = LoadPrompts(path, kLong);
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_EQ(set->prompts.size(), prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    const Prompt& read = set->prompts[i];
    EXPECT_EQ(read.id, prompts[i].id);
    EXPECT_EQ(read.kind, prompts[i].kind);
    EXPECT_EQ(read.gold, prompts[i].gold);
    EXPECT_EQ(read.source, prompts[i].source);
    EXPECT_EQ(read.difficulty, prompts[i].difficulty);
    ASSERT_EQ(read.messages.size(), prompts[i].messages.size());
    for (size_t m = 0; m < read.messages.size(); ++m) {
      EXPECT_EQ(read.messages[m].role, prompts[i].messages[m].role);
      EXPECT_EQ(read.messages[m].content, prompts[i].messages[m].content);
    }
  }
}

TEST(PromptLine, WhatIsScoredKeepsWhatTheModelWasShown) {
  const auto reward = ParsePromptLine(R"({"id": "r", "kind": "reward", "prompt": "Sing!"})", 1);
  ASSERT_TRUE(reward.ok()) << reward.status();
  EXPECT_EQ(reward->gold, R"({"messages":[{"role":"user","content":"Sing!"}]})");
  const auto preference =
      ParsePromptLine(R"({"id": "p", "kind": "preference", "prompt": "Sing!", "gold": "La.",
                          "check": {"kind": "math", "gold": "46"}})",
                      1);
  ASSERT_TRUE(preference.ok()) << preference.status();
  EXPECT_EQ(preference->gold,
            R"({"messages":[{"role":"user","content":"Sing!"}],"reference":"La.",)"
            R"("check":{"gold":"46","kind":"math"}})");
  const auto again = ParsePromptLine(PromptToJson(*preference).dump(), 1);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->gold, preference->gold);
  EXPECT_FALSE(ParsePromptLine(R"({"id": "p", "kind": "preference", "prompt": "Sing!"})", 1).ok());
}

}  // namespace prompt_set_test
}  // namespace ponder::data
