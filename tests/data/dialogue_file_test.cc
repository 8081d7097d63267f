// The data files of the offline stages.
#include "data/dialogue_file.h"

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder::data {
namespace dialogue_file_test {

using ::testing::HasSubstr;

std::string Write(const std::string& text) {
  const std::string path = testing::TempDir() + "/ponder_dialogues.json";
  std::ofstream(path) << text;
  return path;
}

TEST(DialogueFile, MessagesAndAlpacaAsLinesOrAsOneArray) {
  const std::string messages =
      R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "id": 7})";
  const std::string alpaca = R"({"instruction": "add", "input": "1 2", "output": "3"})";
  const std::string bare = R"({"instruction": "say hi", "input": "", "output": "hi"})";
  for (const std::string& text : {messages + "\n" + alpaca + "\n" + bare + "\n",
                                  "[" + messages + ",\n" + alpaca + ",\n\n" + bare + "]\n"}) {
    const auto dialogues = LoadDialogues(Write(text));
    ASSERT_TRUE(dialogues.ok()) << dialogues.status();
    ASSERT_EQ(dialogues->size(), 3u);
    ASSERT_EQ((*dialogues)[0].messages.size(), 2u);
    EXPECT_EQ((*dialogues)[0].messages[0].role, "system");
    EXPECT_EQ((*dialogues)[0].messages[1].content, "q");
    EXPECT_EQ((*dialogues)[0].response, "a");
    ASSERT_EQ((*dialogues)[1].messages.size(), 1u);
    EXPECT_EQ((*dialogues)[1].messages[0].content, "add\n\n1 2");
    EXPECT_EQ((*dialogues)[1].response, "3");
    EXPECT_EQ((*dialogues)[2].messages[0].content, "say hi");
  }
}

TEST(DialogueFile, BrokenEntriesAreNamed) {
  const auto error = [](const std::string& text) {
    return std::string(LoadDialogues(Write(text)).status().message());
  };
  const std::string fine = R"({"instruction": "x", "output": "y"})";
  EXPECT_THAT(error(fine + "\n{"), HasSubstr("ponder_dialogues.json:2: not a JSON object"));
  EXPECT_THAT(error(fine + "\n{\"question\": 1}"), HasSubstr(":2: neither \"messages\" nor"));
  EXPECT_THAT(error(R"([{"instruction": 3, "output": ""}])"),
              HasSubstr(":1: no text under \"instruction\""));
  EXPECT_THAT(error(R"({"messages": [{"role": "user", "content": "q"}]})"),
              HasSubstr("must end with the assistant's turn"));
  EXPECT_THAT(error("[1"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error(" \n"), HasSubstr("nothing in it"));
  EXPECT_FALSE(LoadDialogues("/no/such/file").ok());
}

TEST(DialogueFile, Preferences) {
  const auto pairs = LoadPreferences(Write(
      R"({"prompt": "q", "chosen": "a", "rejected": "b", "margin": 0.5}
{"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}], "chosen": "c", "rejected": "d"})"));
  ASSERT_TRUE(pairs.ok()) << pairs.status();
  ASSERT_EQ(pairs->size(), 2u);
  EXPECT_EQ((*pairs)[0].messages[0].content, "q");
  EXPECT_EQ((*pairs)[0].margin, 0.5);
  EXPECT_EQ((*pairs)[1].messages.size(), 2u);
  EXPECT_EQ((*pairs)[1].rejected, "d");
  EXPECT_EQ((*pairs)[1].margin, 0);
  EXPECT_THAT(
      std::string(LoadPreferences(Write(R"({"prompt": "q", "chosen": "a"})")).status().message()),
      HasSubstr("no text under \"rejected\""));
}

TEST(SplitThought, OnlyAClosedThoughtThatOpensTheResponse) {
  const auto split = [](absl::string_view text) {
    const ThoughtAndAnswer parts = SplitThought(text);
    return std::string(parts.thought) + "|" + std::string(parts.answer);
  };
  EXPECT_EQ(split("<think>1+1</think>2"), "1+1|2");
  EXPECT_EQ(split("\n<think></think>2"), "|2");
  EXPECT_EQ(split("2"), "|2");
  EXPECT_EQ(split("<think>2"), "|<think>2");
  EXPECT_EQ(split("so <think>a</think>"), "|so <think>a</think>");
}

}  // namespace dialogue_file_test
}  // namespace ponder::data
