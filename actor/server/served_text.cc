#include "actor/server/served_text.h"

#include "data/chat_format.h"
#include "data/tokenizer.h"

namespace ponder::actor {

int32_t ThinkOpenToken() { return data::ByteTokenizer::kThink; }
int32_t ThinkCloseToken() { return data::ByteTokenizer::kEndThink; }

absl::StatusOr<std::vector<int32_t>> ChatTokens(absl::Span<const Message> messages) {
  return data::EncodeChat(messages, /*system_prompt=*/"");
}

std::vector<int32_t> TextTokens(absl::string_view text) {
  return data::ByteTokenizer::Encode(text, /*parse_special=*/false);
}

std::string TokenText(int32_t token) {
  return data::ByteTokenizer::Decode({token}, /*keep_special=*/false);
}

std::string TokenName(int32_t token) {
  return data::ByteTokenizer::Decode({token}, /*keep_special=*/true);
}

}  // namespace ponder::actor
