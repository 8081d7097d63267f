// `ponder chat-template`: chats to the text that a model is fed, by the template of its folder.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "data/model_template.h"
#include "deploy/commands.h"
#include "deploy/jsonl_filter.h"
#include "deploy/text_commands.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {
namespace {

struct ChatTemplateOptions {
  std::string model, in;
};

// What transformers' apply_chat_template shows a template.
absl::StatusOr<nlohmann::ordered_json> Variables(const nlohmann::ordered_json& line,
                                                 const data::ModelTemplate& model) {
  nlohmann::ordered_json variables = {{"tools", nullptr}, {"documents", nullptr}};
  for (const auto& [name, token] : model.special_tokens) variables[name] = token;
  if (!line.contains("messages") || !line["messages"].is_array())
    return absl::InvalidArgumentError("no array under \"messages\"");
  for (const char* name : {"bos_token", "eos_token"}) {
    if (!line.contains(name)) continue;
    variables.erase(name);
    if (!line[name].is_null()) variables[name] = line[name];
  }
  variables["messages"] = line["messages"];
  variables["add_generation_prompt"] = line.value("add_generation_prompt", false);
  if (line.contains("kwargs")) {
    if (!line["kwargs"].is_object()) return absl::InvalidArgumentError("\"kwargs\" is no object");
    for (const auto& [name, value] : line["kwargs"].items()) variables[name] = value;
  }
  return variables;
}

absl::Status RunChatTemplate(const ChatTemplateOptions& options) {
  data::ModelTemplate model;
  if (!options.model.empty()) {
    PONDER_ASSIGN_OR_RETURN(model, data::LoadModelTemplate(options.model));
  }
  const absl::Time now = absl::Now();
  return FilterJsonl(
      options.in,
      [&](const nlohmann::ordered_json& line) -> absl::StatusOr<nlohmann::ordered_json> {
        if (line.contains("add_generation_prompt") && !line["add_generation_prompt"].is_boolean())
          return absl::InvalidArgumentError("\"add_generation_prompt\" is not true or false");
        PONDER_ASSIGN_OR_RETURN(const nlohmann::ordered_json variables, Variables(line, model));
        std::optional<data::ChatTemplate> chosen = model.chat_template;
        if (line.contains("template") && !line["template"].is_null()) {
          if (!line["template"].is_string())
            return absl::InvalidArgumentError("\"template\" is no string");
          auto parsed = data::ChatTemplate::Parse(line["template"].get<std::string>(), "template");
          if (!parsed.ok())
            return nlohmann::ordered_json{{"error", std::string(parsed.status().message())}};
          chosen = *std::move(parsed);
        }
        if (!chosen.has_value()) {
          return absl::InvalidArgumentError(
              absl::StrCat("no \"template\" here, and no chat template in ",
                           options.model.empty() ? "a --model" : options.model));
        }
        const data::ChatTemplate::Rendering rendered = chosen->Render(variables, now);
        if (rendered.error.empty()) return nlohmann::ordered_json{{"text", rendered.text}};
        return nlohmann::ordered_json{
            {"error", rendered.error}, {"line", rendered.line}, {"tag", rendered.tag}};
      });
}

}  // namespace

void AddChatTemplateCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<ChatTemplateOptions>();
  CLI::App* command = app.add_subcommand("chat-template", "render chats as a model is fed them");
  command->add_option("--model", options->model, "folder with the template and its tokens");
  command
      ->add_option("--in", options->in,
                   "JSONL, an object {messages, add_generation_prompt, template, bos_token, "
                   "eos_token, kwargs} a line; all but messages may be absent; -: stdin")
      ->required();
  command->callback([options, exit_code] {
    *exit_code = ReportStatus("chat-template", RunChatTemplate(*options));
  });
}

}  // namespace ponder::deploy
