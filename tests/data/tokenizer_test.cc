#include "data/tokenizer.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace ponder::data {
namespace {

using Ids = std::vector<int32_t>;

TEST(ByteTokenizer, EveryByteIsItsOwnId) {
  std::string bytes;
  Ids ids;
  for (int b = 0; b < 256; ++b) {
    bytes.push_back(static_cast<char>(b));
    ids.push_back(b);
  }
  EXPECT_EQ(ByteTokenizer::Encode(bytes, false), ids);
  EXPECT_EQ(ByteTokenizer::Decode(ids, false), bytes);
}

TEST(ByteTokenizer, ParsesSpecialTokensOnlyWhenAsked) {
  EXPECT_EQ(ByteTokenizer::Encode("<think>a</think>", true), (Ids{257, 'a', 258}));
  EXPECT_EQ(ByteTokenizer::Encode("<think>a</think>", false).size(), 16u);
  // Neither a cut name nor another special token's name is parsed.
  EXPECT_EQ(ByteTokenizer::Encode("<think", true).size(), 6u);
  EXPECT_EQ(ByteTokenizer::Encode("<eos>", true).size(), 5u);
}

TEST(ByteTokenizer, DecodesSpecialTokensAsNamesOrNotAtAll) {
  const Ids ids{259, 'q', 260, 257, 't', 258, 'a', 256, 261, 262, 263, 264, -1, 1 << 30};
  EXPECT_EQ(ByteTokenizer::Decode(ids, true), "<user>q<assistant><think>t</think>a<eos><system>");
  EXPECT_EQ(ByteTokenizer::Decode(ids, false), "qta");
}

}  // namespace
}  // namespace ponder::data
