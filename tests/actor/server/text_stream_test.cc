// Text in pieces is the whole text; no piece splits a character.
#include "actor/server/text_stream.h"

#include "base/philox.h"
#include "data/model_text.h"
#include "gtest/gtest.h"

namespace ponder::actor {
namespace text_stream_test {

TEST(Utf8Stream, ShowsWholeCharactersAndReplacesTheRest) {
  const std::string replaced = "\xEF\xBF\xBD";
  // Unicode 15, table 3-8: one replacement for each maximal subpart.
  EXPECT_EQ(
      ToUtf8("a\xF1\x80\x80\xE1\x80\xC2"
             "b\x80"
             "c\x80\xBF"
             "d"),
      "a" + replaced + replaced + replaced + "b" + replaced + "c" + replaced + replaced + "d");
  EXPECT_EQ(ToUtf8("\xC0\xAF\xE0\x80\xBF"), replaced + replaced + replaced + replaced + replaced);
  EXPECT_EQ(ToUtf8("\xED\xA0\x80"), replaced + replaced + replaced) << "surrogates";
  EXPECT_EQ(ToUtf8("\xF4\x91\x92\x93"), replaced + replaced + replaced + replaced);
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z";
  EXPECT_EQ(ToUtf8(text), text);
  Utf8Stream stream;
  std::vector<std::string> pieces;
  for (const char byte : text) pieces.push_back(stream.Push(std::string(1, byte)));
  EXPECT_EQ(pieces, (std::vector<std::string>{"a", "", "\xC3\xA9", "", "", "\xE2\x82\xAC", "", "",
                                              "", "\xF0\x9F\x98\x80", "z"}));
  EXPECT_EQ(stream.Push("\xE2\x82"), "");
  EXPECT_EQ(stream.Rest(), replaced);
  EXPECT_EQ(stream.Rest(), "");
}

TEST(Utf8Stream, AnySplitOfAnyBytesShowsTheSame) {
  Rng rng(5, "utf8");
  for (int round = 0; round < 3000; ++round) {
    std::string bytes;
    for (int64_t n = rng.NextInt(0, 12); n > 0; --n) {
      const char* some[] = {"\xE2\x82\xAC", "\xF0\x9F\x98\x80", "x", "\xC3\xA9"};
      if (rng.NextInt(0, 1) == 0) {
        bytes += some[rng.NextInt(0, 3)];
      } else {
        bytes.push_back(static_cast<char>(rng.NextInt(0x70, 0xFF)));
      }
    }
    Utf8Stream stream;
    std::string shown;
    for (const char byte : bytes) {
      const std::string piece = stream.Push(std::string(1, byte));
      ASSERT_EQ(ToUtf8(piece), piece) << "a piece is valid by itself";
      shown += piece;
    }
    ASSERT_EQ(shown + stream.Rest(), ToUtf8(bytes));
  }
}

TEST(TextStream, PartsThoughtsFromAnswersAndStopsBeforeStopStrings) {
  const auto text = data::ByteText();
  std::vector<int32_t> tokens = {text->think_open()};
  const auto append = [&](const char* words) {
    const std::vector<int32_t> ids = *text->EncodeText(words);
    tokens.insert(tokens.end(), ids.begin(), ids.end());
  };
  append("hm\xC3\xA9");
  tokens.push_back(text->think_close());
  append("it is 5. END more");
  for (const bool split : {true, false}) {
    TextStream stream(text, {"END"}, split);
    TextStream::Delta whole;
    for (const int32_t token : tokens) {
      const TextStream::Delta delta = stream.Push(token);
      whole.thought += delta.thought;
      whole.answer += delta.answer;
    }
    const TextStream::Delta rest = stream.Rest();
    EXPECT_TRUE(rest.empty());
    EXPECT_EQ(whole.thought, split ? "hm\xC3\xA9" : "");
    EXPECT_EQ(whole.answer, split ? "it is 5. " : "hm\xC3\xA9it is 5. ");
  }
}

}  // namespace text_stream_test
}  // namespace ponder::actor
