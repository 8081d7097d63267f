// What a model's folder says about chats: the template and the special tokens' names that it may
// use. From chat_template.jinja, or "chat_template" in tokenizer_config.json.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "data/chat_template.h"

namespace ponder::data {

// A value.
struct ModelTemplate {
  std::optional<ChatTemplate> chat_template;  // nothing: the folder has none
  // bos_token, eos_token, ... as tokenizer_config.json names them.
  std::vector<std::pair<std::string, std::string>> special_tokens;
};

// InvalidArgument: a broken file; the message names file and key or line.
absl::StatusOr<ModelTemplate> LoadModelTemplate(const std::string& folder);

}  // namespace ponder::data
