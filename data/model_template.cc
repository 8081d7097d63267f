#include "data/model_template.h"

#include "base/atomic_file.h"
#include "base/status.h"
#include "data/tokenizers/json_node.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace {

constexpr size_t kMaxConfigBytes = 16 << 20;
constexpr const char* kSpecialTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                          "pad_token", "cls_token", "mask_token"};

// "chat_template": a string, or a list of {name, template} of which "default" counts.
absl::StatusOr<std::string> TemplateText(const JsonNode& node) {
  if (!node.value().is_array()) return node.String();
  PONDER_ASSIGN_OR_RETURN(const std::vector<JsonNode> choices, node.Elements());
  for (const JsonNode& choice : choices) {
    PONDER_ASSIGN_OR_RETURN(const std::string name, choice.StringAt("name"));
    if (name == "default") return choice.StringAt("template");
  }
  return node.Error("has no template named \"default\"");
}

}  // namespace

absl::StatusOr<ModelTemplate> LoadModelTemplate(const std::string& folder) {
  ModelTemplate model;
  std::string text, name = folder + "/chat_template.jinja";
  absl::StatusOr<std::string> file = ReadFile(name);
  if (file.ok()) {
    text = *std::move(file);
  } else if (!absl::IsNotFound(file.status())) {
    return file.status();
  }
  const std::string config_path = folder + "/tokenizer_config.json";
  const absl::StatusOr<std::string> config = ReadFile(config_path);
  if (config.ok()) {
    PONDER_ASSIGN_OR_RETURN(const nlohmann::json json,
                            ParseJsonFile(*config, config_path, kMaxConfigBytes));
    const JsonNode root(json, config_path);
    for (const char* key : kSpecialTokens) {
      const std::optional<JsonNode> token = root.Find(key);
      if (!token.has_value()) continue;
      // A string, or an added token.
      PONDER_ASSIGN_OR_RETURN(std::string content, token->value().is_object()
                                                       ? token->StringAt("content")
                                                       : token->String());
      model.special_tokens.emplace_back(key, std::move(content));
    }
    const std::optional<JsonNode> given = root.Find("chat_template");
    if (text.empty() && given.has_value()) {
      PONDER_ASSIGN_OR_RETURN(text, TemplateText(*given));
      name = config_path + " chat_template";
    }
  } else if (!absl::IsNotFound(config.status())) {
    return config.status();
  }
  if (!text.empty()) {
    PONDER_ASSIGN_OR_RETURN(model.chat_template, ChatTemplate::Parse(text, name));
  }
  return model;
}

}  // namespace ponder::data
