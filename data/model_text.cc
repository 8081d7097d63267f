#include "data/model_text.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/civil_time.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "data/model_template.h"
#include "data/tokenizers/json_node.h"
#include "data/tokenizers/tokenizer.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace {

constexpr char kThinkOpen[] = "<think>";  // as verifiers know them
constexpr char kThinkClose[] = "</think>";
constexpr char kTemplateFile[] = "chat_template.jinja";
constexpr size_t kMaxConfigBytes = 4 << 20;
constexpr const char* kTextFiles[] = {"tokenizer.json",
                                      "tokenizer_config.json",
                                      "tokenizer.model",
                                      kTemplateFile,
                                      "vocab.json",
                                      "merges.txt",
                                      "added_tokens.json",
                                      "special_tokens_map.json",
                                      "generation_config.json"};

// The day that templates with a date are told, so that a prompt is the same on every day: the one
// that Llama 3.1's template falls back to.
absl::Time TheDay() { return absl::FromCivil(absl::CivilDay(2024, 7, 26), absl::UTCTimeZone()); }

absl::StatusOr<std::optional<std::string>> ReadIfThere(const std::string& path) {
  absl::StatusOr<std::string> bytes = ReadFile(path);
  if (absl::IsNotFound(bytes.status())) return std::nullopt;
  if (!bytes.ok()) return bytes.status();
  return *std::move(bytes);
}

// "eos_token_id" of a config, a number or a list; nullopt if the file or the key is not there.
absl::StatusOr<std::optional<std::vector<int32_t>>> ReadEosIds(const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const auto text, ReadIfThere(path));
  if (!text.has_value()) return std::nullopt;
  PONDER_ASSIGN_OR_RETURN(const nlohmann::json json, ParseJsonFile(*text, path, kMaxConfigBytes));
  const JsonNode root(json, path);
  const std::optional<JsonNode> node = root.Find("eos_token_id");
  if (!node.has_value()) return std::nullopt;
  std::vector<JsonNode> nodes = {*node};
  if (node->value().is_array()) {
    PONDER_ASSIGN_OR_RETURN(nodes, node->Elements());
  }
  std::vector<int32_t> ids;
  for (const JsonNode& one : nodes) {
    PONDER_ASSIGN_OR_RETURN(const int64_t id, one.Int(0, INT32_MAX));
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

class FolderText final : public ModelText {
 public:
  static absl::StatusOr<std::shared_ptr<const ModelText>> Load(const std::string& folder,
                                                               const ModelTextOptions& options);

  absl::StatusOr<std::vector<int32_t>> EncodeChat(absl::Span<const Message> messages,
                                                  absl::string_view system_prompt) const override {
    PONDER_ASSIGN_OR_RETURN(const std::string text, Render(messages, system_prompt));
    return tokenizer_->Encode(text, /*add_special=*/false);
  }
  absl::StatusOr<std::vector<int32_t>> EncodeTrace(absl::string_view thought,
                                                   absl::string_view answer) const override;
  absl::StatusOr<std::vector<int32_t>> EncodeText(absl::string_view text) const override {
    return tokenizer_->Encode(text, /*add_special=*/true);
  }
  std::string ResponseText(absl::Span<const int32_t> tokens) const override;
  std::string TokenBytes(int32_t token) const override {
    const bool tag = token == think_open_ || token == think_close_;
    return tag || tokenizer_->IsSpecial(token) ? "" : tokenizer_->TokenBytes(token);
  }
  std::string TokenName(int32_t token) const override { return tokenizer_->TokenBytes(token); }
  int64_t vocab_size() const override { return tokenizer_->vocab_size(); }

 private:
  absl::StatusOr<std::string> Render(absl::Span<const Message> messages,
                                     absl::string_view system_prompt) const;
  absl::Status FindEos();
  void FindThoughts();

  std::string folder_;
  ModelTextOptions options_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  ModelTemplate template_;
  int32_t end_of_turn_ = -1;  // what a response is taught to end with
};

absl::StatusOr<std::shared_ptr<const ModelText>> FolderText::Load(const std::string& folder,
                                                                  const ModelTextOptions& options) {
  auto text = std::make_shared<FolderText>();
  text->folder_ = folder;
  text->options_ = options;
  PONDER_ASSIGN_OR_RETURN(text->tokenizer_, LoadTokenizer(folder));
  PONDER_ASSIGN_OR_RETURN(text->template_, LoadModelTemplate(folder));
  if (!options.chat_template.empty()) {
    PONDER_ASSIGN_OR_RETURN(const std::string jinja, ReadFile(options.chat_template));
    PONDER_ASSIGN_OR_RETURN(text->template_.chat_template,
                            ChatTemplate::Parse(jinja, options.chat_template));
  }
  PONDER_RETURN_IF_ERROR(text->FindEos());
  text->FindThoughts();
  return text;
}

absl::Status FolderText::FindEos() {
  PONDER_ASSIGN_OR_RETURN(auto ids, ReadEosIds(folder_ + "/generation_config.json"));
  if (!ids.has_value()) {
    PONDER_ASSIGN_OR_RETURN(ids, ReadEosIds(folder_ + "/config.json"));
  }
  if (ids.has_value()) eos_tokens_ = *std::move(ids);
  for (const auto& [name, token] : template_.special_tokens) {
    if (name != "eos_token") continue;
    end_of_turn_ = tokenizer_->TokenId(token);
    if (end_of_turn_ < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(folder_, "/tokenizer_config.json: eos_token is '", token,
                       "', which the tokenizer does not have"));
    }
  }
  if (end_of_turn_ < 0 && !eos_tokens_.empty()) end_of_turn_ = eos_tokens_.front();
  if (end_of_turn_ >= 0 && !absl::c_linear_search(eos_tokens_, end_of_turn_)) {
    eos_tokens_.push_back(end_of_turn_);
  }
  return absl::OkStatus();
}

void FolderText::FindThoughts() {
  think_open_ = tokenizer_->TokenId(options_.think_open);
  think_close_ = tokenizer_->TokenId(options_.think_close);
  if (think_open_ < 0 || think_close_ < 0) think_open_ = think_close_ = -1;
  const auto prompt = Render({Message{"user", "1+1=?"}}, "");
  prompt_opens_thought_ = prompt.ok() && absl::EndsWith(absl::StripTrailingAsciiWhitespace(*prompt),
                                                        options_.think_open);
}

absl::StatusOr<std::string> FolderText::Render(absl::Span<const Message> messages,
                                               absl::string_view system_prompt) const {
  if (messages.empty()) return absl::InvalidArgumentError("a chat needs at least one message");
  if (!template_.chat_template.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder_, " has a tokenizer, but no chat template: neither ", kTemplateFile,
                     " nor chat_template in tokenizer_config.json; give one with "
                     "--chat-template FILE (data.chat_template in a config)"));
  }
  // As transformers' apply_chat_template sets them.
  nlohmann::ordered_json variables = {{"tools", nullptr}, {"documents", nullptr}};
  for (const auto& [name, token] : template_.special_tokens) variables[name] = token;
  auto& chat = variables["messages"] = nlohmann::ordered_json::array();
  if (!system_prompt.empty() && messages[0].role != "system")
    chat.push_back({{"role", "system"}, {"content", std::string(system_prompt)}});
  for (const Message& message : messages)
    chat.push_back({{"role", message.role}, {"content", message.content}});
  variables["add_generation_prompt"] = true;
  ChatTemplate::Rendering rendered = template_.chat_template->Render(variables, TheDay());
  if (rendered.error.empty()) return std::move(rendered.text);
  return absl::InvalidArgumentError(absl::StrCat(template_.chat_template->name(), ":",
                                                 rendered.line, ": ", rendered.error, ", in ",
                                                 rendered.tag));
}

// As DeepSeek-R1 and Qwen3 write it: <think>\n ... \n</think>\n\n and the answer. No empty thought,
// unless the prompt has begun one.
absl::StatusOr<std::vector<int32_t>> FolderText::EncodeTrace(absl::string_view thought,
                                                             absl::string_view answer) const {
  std::string text;
  if (!prompt_opens_thought_ && !thought.empty()) absl::StrAppend(&text, options_.think_open, "\n");
  if (prompt_opens_thought_ || !thought.empty())
    absl::StrAppend(&text, thought, "\n", options_.think_close, "\n\n");
  absl::StrAppend(&text, answer);
  PONDER_ASSIGN_OR_RETURN(std::vector<int32_t> ids,
                          tokenizer_->Encode(text, /*add_special=*/false));
  if (end_of_turn_ >= 0) ids.push_back(end_of_turn_);
  return ids;
}

std::string FolderText::ResponseText(absl::Span<const int32_t> tokens) const {
  if (!tokens.empty() && absl::c_linear_search(eos_tokens_, tokens.back())) tokens.remove_suffix(1);
  std::string text = tokenizer_->Decode(tokens, /*skip_special=*/false);
  if (options_.think_open != kThinkOpen) {
    text = absl::StrReplaceAll(
        text, {{options_.think_open, kThinkOpen}, {options_.think_close, kThinkClose}});
  }
  return prompt_opens_thought_ ? absl::StrCat(kThinkOpen, text) : text;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ModelText>> LoadModelText(const std::string& folder,
                                                               const ModelTextOptions& options) {
  for (const char* name : {"/tokenizer.json", "/tokenizer.model"}) {
    PONDER_ASSIGN_OR_RETURN(const auto file, ReadIfThere(folder + name));
    if (file.has_value()) return FolderText::Load(folder, options);
  }
  if (!options.chat_template.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(folder, " has no tokenizer.json, so ",
                                                   options.chat_template, " can't be used"));
  }
  return ByteText();
}

absl::StatusOr<std::map<std::string, std::string>> ModelTextFiles(const std::string& folder,
                                                                  const ModelTextOptions& options) {
  std::map<std::string, std::string> files;
  for (const char* name : kTextFiles) {
    const bool given = name == kTemplateFile && !options.chat_template.empty();
    PONDER_ASSIGN_OR_RETURN(auto bytes,
                            ReadIfThere(given ? options.chat_template : folder + "/" + name));
    if (bytes.has_value()) files[name] = *std::move(bytes);
  }
  return files;
}

}  // namespace ponder::data
