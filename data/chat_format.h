// How a chat becomes the tokens that a model is fed, and how a worked solution becomes the tokens
// that it is taught.
//
//   <system> text ... <user> text ... <assistant> | <think> thought </think> answer <eos>
//   `------------ EncodeChat: the prompt --------'  `-- EncodeTrace, or what is sampled --'
//
// The prompt ends where the model takes over: it opens its own thought. Text is always encoded as
// plain bytes, so that no message can smuggle in a special token.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/types.h"

namespace ponder::data {

// The prompt. `system_prompt` opens it unless it is empty or `messages` begin with a system turn of
// their own. InvalidArgument: no messages, a role other than "system", "user" and "assistant", or a
// system turn that isn't the first.
absl::StatusOr<std::vector<int32_t>> EncodeChat(absl::Span<const Message> messages,
                                                absl::string_view system_prompt);

// The response that supervised training aims at.
std::vector<int32_t> EncodeTrace(absl::string_view thought, absl::string_view answer);

}  // namespace ponder::data
