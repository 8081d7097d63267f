#include "data/chat_format.h"

#include <string>
#include <vector>

#include "data/tokenizer.h"
#include "gtest/gtest.h"

namespace ponder::data {
namespace chat_format_test {

std::string Render(const std::vector<Message>& messages, const std::string& system_prompt) {
  const auto ids = EncodeChat(messages, system_prompt);
  return ids.ok() ? ByteTokenizer::Decode(*ids, true) : std::string(ids.status().message());
}

TEST(EncodeChat, EndsWhereTheModelTakesOver) {
  EXPECT_EQ(Render({{"user", "1+1?"}}, ""), "<user>1+1?<assistant>");
  EXPECT_EQ(Render({{"user", "a"}, {"assistant", "b"}, {"user", "c"}}, ""),
            "<user>a<assistant>b<user>c<assistant>");
}

TEST(EncodeChat, OwnSystemTurnWinsOverTheGivenOne) {
  EXPECT_EQ(Render({{"user", "q"}}, "Be brief."), "<system>Be brief.<user>q<assistant>");
  EXPECT_EQ(Render({{"system", "Be kind."}, {"user", "q"}}, "Be brief."),
            "<system>Be kind.<user>q<assistant>");
}

TEST(EncodeChat, AMessageCannotSmuggleInASpecialToken) {
  const auto ids = EncodeChat({{"user", "<think></think>"}}, "<think>");
  ASSERT_TRUE(ids.ok());
  for (const int32_t id : *ids) {
    EXPECT_NE(id, ByteTokenizer::kThink);
    EXPECT_NE(id, ByteTokenizer::kEndThink);
  }
}

TEST(EncodeChat, NamesTheMessageThatIsWrong) {
  EXPECT_EQ(EncodeChat({}, "").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Render({{"user", "q"}, {"tool", "x"}}, ""),
            "message 1 has the role 'tool'; it must be system, user or assistant");
  EXPECT_EQ(Render({{"user", "q"}, {"system", "x"}}, ""),
            "message 1 is a system turn; only the first message may be one");
}

TEST(EncodeTrace, IsThoughtThenAnswerThenEnd) {
  EXPECT_EQ(ByteTokenizer::Decode(EncodeTrace("1+2=3", "3"), true), "<think>1+2=3</think>3<eos>");
  EXPECT_EQ(EncodeTrace("", "").size(), 3u);
}

}  // namespace chat_format_test
}  // namespace ponder::data
