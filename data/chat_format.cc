#include "data/chat_format.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "data/tokenizer.h"

namespace ponder::data {
namespace {

void AppendTurn(int32_t opening, absl::string_view text, std::vector<int32_t>& ids) {
  ids.push_back(opening);
  const std::vector<int32_t> bytes = ByteTokenizer::Encode(text, /*parse_special=*/false);
  ids.insert(ids.end(), bytes.begin(), bytes.end());
}

}  // namespace

absl::StatusOr<std::vector<int32_t>> EncodeChat(absl::Span<const Message> messages,
                                                absl::string_view system_prompt) {
  if (messages.empty()) return absl::InvalidArgumentError("a chat needs at least one message");
  std::vector<int32_t> ids;
  if (!system_prompt.empty() && messages[0].role != "system") {
    AppendTurn(ByteTokenizer::kSystem, system_prompt, ids);
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    if (message.role == "user") {
      AppendTurn(ByteTokenizer::kUser, message.content, ids);
    } else if (message.role == "assistant") {
      AppendTurn(ByteTokenizer::kAssistant, message.content, ids);
    } else if (message.role != "system") {
      return absl::InvalidArgumentError(absl::StrCat("message ", i, " has the role '",
                                                     absl::Utf8SafeCHexEscape(message.role),
                                                     "'; it must be system, user or assistant"));
    } else if (i != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("message ", i, " is a system turn; only the first message may be one"));
    } else {
      AppendTurn(ByteTokenizer::kSystem, message.content, ids);
    }
  }
  ids.push_back(ByteTokenizer::kAssistant);
  return ids;
}

std::vector<int32_t> EncodeTrace(absl::string_view thought, absl::string_view answer) {
  std::vector<int32_t> ids;
  AppendTurn(ByteTokenizer::kThink, thought, ids);
  AppendTurn(ByteTokenizer::kEndThink, answer, ids);
  ids.push_back(ByteTokenizer::kEos);
  return ids;
}

}  // namespace ponder::data
