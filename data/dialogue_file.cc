#include "data/dialogue_file.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace {

using Json = nlohmann::json;

absl::StatusOr<std::string> Text(const Json& entry, const char* key) {
  if (!entry.contains(key) || !entry[key].is_string()) {
    return absl::InvalidArgumentError(absl::StrCat("no text under \"", key, "\""));
  }
  return entry[key].get<std::string>();
}

absl::StatusOr<std::vector<Message>> Messages(const Json& list) {
  std::vector<Message> messages;
  if (!list.is_array() || list.empty()) {
    return absl::InvalidArgumentError("messages must be a list of {\"role\", \"content\"}");
  }
  for (const Json& turn : list) {
    Message message;
    PONDER_ASSIGN_OR_RETURN(message.role, Text(turn, "role"));
    PONDER_ASSIGN_OR_RETURN(message.content, Text(turn, "content"));
    messages.push_back(std::move(message));
  }
  return messages;
}

absl::StatusOr<Dialogue> ParseDialogue(const Json& entry) {
  Dialogue dialogue;
  if (entry.contains("messages")) {
    PONDER_ASSIGN_OR_RETURN(dialogue.messages, Messages(entry["messages"]));
    if (dialogue.messages.size() < 2 || dialogue.messages.back().role != "assistant") {
      return absl::InvalidArgumentError(
          "messages must end with the assistant's turn, the one to imitate, after another");
    }
    dialogue.response = std::move(dialogue.messages.back().content);
    dialogue.messages.pop_back();
    return dialogue;
  }
  if (!entry.contains("instruction")) {
    return absl::InvalidArgumentError(
        "neither \"messages\" nor \"instruction\" and \"output\" (Alpaca)");
  }
  PONDER_ASSIGN_OR_RETURN(std::string question, Text(entry, "instruction"));
  if (entry.contains("input")) {
    PONDER_ASSIGN_OR_RETURN(const std::string input, Text(entry, "input"));
    if (!input.empty()) absl::StrAppend(&question, "\n\n", input);
  }
  PONDER_ASSIGN_OR_RETURN(dialogue.response, Text(entry, "output"));
  dialogue.messages = {{"user", std::move(question)}};
  return dialogue;
}

absl::StatusOr<Preference> ParsePreference(const Json& entry) {
  Preference preference;
  if (entry.contains("prompt") && entry["prompt"].is_array()) {
    PONDER_ASSIGN_OR_RETURN(preference.messages, Messages(entry["prompt"]));
  } else {
    PONDER_ASSIGN_OR_RETURN(std::string prompt, Text(entry, "prompt"));
    preference.messages = {{"user", std::move(prompt)}};
  }
  PONDER_ASSIGN_OR_RETURN(preference.chosen, Text(entry, "chosen"));
  PONDER_ASSIGN_OR_RETURN(preference.rejected, Text(entry, "rejected"));
  if (entry.contains("margin")) {
    if (!entry["margin"].is_number()) return absl::InvalidArgumentError("margin must be a number");
    preference.margin = entry["margin"].get<double>();
  }
  return preference;
}

template <typename T>
absl::StatusOr<std::vector<T>> Load(const std::string& path,
                                    absl::StatusOr<T> (*parse)(const Json&)) {
  // Whoever named the file is to name another one: a wrong argument.
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return absl::InvalidArgumentError(text.status().message());
  std::vector<Json> entries;
  const absl::string_view stripped = absl::StripAsciiWhitespace(*text);
  if (!stripped.empty() && stripped[0] == '[') {
    const Json all = Json::parse(stripped.begin(), stripped.end(), nullptr, false);
    if (!all.is_array()) return absl::InvalidArgumentError(absl::StrCat(path, ": not valid JSON"));
    entries.assign(all.begin(), all.end());
  } else if (!stripped.empty()) {
    for (const absl::string_view line : absl::StrSplit(stripped, '\n'))
      entries.push_back(Json::parse(line.begin(), line.end(), nullptr, false));
  }
  if (entries.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": nothing in it"));
  std::vector<T> parsed;
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::string place = absl::StrCat(path, ":", i + 1);
    if (!entries[i].is_object()) {
      return absl::InvalidArgumentError(absl::StrCat(place, ": not a JSON object"));
    }
    absl::StatusOr<T> one = parse(entries[i]);
    if (!one.ok()) return Annotate(one.status(), place);
    parsed.push_back(*std::move(one));
  }
  return parsed;
}

}  // namespace

absl::StatusOr<std::vector<Dialogue>> LoadDialogues(const std::string& path) {
  return Load<Dialogue>(path, ParseDialogue);
}

absl::StatusOr<std::vector<Preference>> LoadPreferences(const std::string& path) {
  return Load<Preference>(path, ParsePreference);
}

ThoughtAndAnswer SplitThought(absl::string_view response) {
  constexpr absl::string_view kOpen = "<think>";
  constexpr absl::string_view kClose = "</think>";
  absl::string_view rest = absl::StripLeadingAsciiWhitespace(response);
  const size_t close = rest.find(kClose);
  if (!absl::ConsumePrefix(&rest, kOpen) || close == absl::string_view::npos) {
    return {"", response};
  }
  const size_t length = close - kOpen.size();
  return {rest.substr(0, length), rest.substr(length + kClose.size())};
}

}  // namespace ponder::data
