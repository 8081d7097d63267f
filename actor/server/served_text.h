// What the server knows of text: chats and strings become tokens, tokens become text. The one place
// that names the tokenizer and the chat format.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/types.h"

namespace ponder::actor {

// The tokens that open and close a thought.
int32_t ThinkOpenToken();
int32_t ThinkCloseToken();

// InvalidArgument: what is wrong with the messages.
absl::StatusOr<std::vector<int32_t>> ChatTokens(absl::Span<const Message> messages);
// Plain text; nothing in it becomes a special token.
std::vector<int32_t> TextTokens(absl::string_view text);
// The bytes that a token adds to the text; none for special ones.
std::string TokenText(int32_t token);
// How a token is called where single ones are listed: its bytes, or the name of a special one.
std::string TokenName(int32_t token);

}  // namespace ponder::actor
