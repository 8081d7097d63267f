#include "data/prompt_line.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace {

using Json = nlohmann::json;

constexpr const char* kKinds[] = {"math",  "code",   "choice",    "puzzle",
                                  "judge", "reward", "preference"};

absl::Status Wrong(absl::string_view what) { return absl::InvalidArgumentError(what); }

// Parses one line; unlike the parser's default, a key given twice is an error.
absl::StatusOr<Json> ParseObject(absl::string_view line) {
  std::vector<std::set<std::string>> open_objects;
  std::string repeated;
  const auto watch_keys = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key &&
        !open_objects.back().insert(parsed.get<std::string>()).second) {
      repeated = parsed.get<std::string>();
    }
    return true;
  };
  try {
    Json object = Json::parse(line.begin(), line.end(), watch_keys);
    if (!repeated.empty())
      return Wrong(absl::StrCat("key '", absl::Utf8SafeCHexEscape(repeated), "' is given twice"));
    if (!object.is_object()) return Wrong("not a JSON object; each line is one {...}");
    return object;
  } catch (const Json::parse_error& error) {
    const absl::string_view what = error.what();
    const bool bad_text = what.find("UTF-8") != absl::string_view::npos;
    return Wrong(
        absl::StrCat(bad_text ? "not valid UTF-8" : "not valid JSON", " at column ", error.byte,
                     bad_text ? "; save the file as UTF-8" : "; mend the line or take it out"));
  } catch (const Json::out_of_range&) {
    return Wrong("a number is too large for a double; write it as text");
  }
}

// The text under `key`; an integer counts as its digits. Absent: `absent`, or an error if that is
// null.
absl::StatusOr<std::string> Text(const Json& object, const char* key, const char* absent) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) {
    if (absent != nullptr) return absent;
    return Wrong(absl::StrCat("no '", key, "'; add it"));
  }
  if (found->is_number_integer()) return found->dump();
  if (!found->is_string())
    return Wrong(absl::StrCat("'", key, "' must be text, not ", found->type_name()));
  return found->get<std::string>();
}

absl::StatusOr<std::string> NonEmptyText(const Json& object, const char* key) {
  PONDER_ASSIGN_OR_RETURN(std::string text, Text(object, key, nullptr));
  if (text.empty()) return Wrong(absl::StrCat("'", key, "' is empty"));
  return text;
}

absl::StatusOr<std::string> Kind(const Json& object, const char* key) {
  PONDER_ASSIGN_OR_RETURN(const std::string given, Text(object, key, "math"));
  const std::string kind = absl::AsciiStrToLower(given);
  if (std::find(std::begin(kKinds), std::end(kKinds), kind) == std::end(kKinds)) {
    return Wrong(absl::StrCat("'", key, "' is '", absl::Utf8SafeCHexEscape(given),
                              "'; it must be one of ", absl::StrJoin(kKinds, ", ")));
  }
  return kind;
}

absl::StatusOr<std::vector<Message>> Messages(const Json& object) {
  const auto found = object.find("prompt");
  if (found == object.end()) return Wrong("no 'prompt'; add it as text or as a list of messages");
  if (found->is_string()) {
    PONDER_ASSIGN_OR_RETURN(std::string text, NonEmptyText(object, "prompt"));
    return std::vector<Message>{{"user", std::move(text)}};
  }
  if (!found->is_array() || found->empty())
    return Wrong("'prompt' must be text or a list of messages, not empty");
  std::vector<Message> messages;
  for (const Json& message : *found) {
    const std::string place = absl::StrCat("message ", messages.size(), " of 'prompt'");
    if (!message.is_object()) return Wrong(absl::StrCat(place, " must be {\"role\", \"content\"}"));
    auto role = NonEmptyText(message, "role");
    if (!role.ok()) return Annotate(role.status(), place);
    auto content = Text(message, "content", nullptr);
    if (!content.ok()) return Annotate(content.status(), place);
    messages.push_back({*std::move(role), *std::move(content)});
  }
  return messages;
}

absl::StatusOr<int32_t> Difficulty(const Json& object) {
  const auto found = object.find("difficulty");
  if (found == object.end() || found->is_null()) return 0;
  const bool fits =
      found->is_number_integer() && *found >= 0 && *found <= std::numeric_limits<int32_t>::max();
  if (!fits) return Wrong("'difficulty' must be a whole number of at least 0");
  return found->get<int32_t>();
}

// What a model that scores answers is told, unless the line's gold says so already: what the policy
// is shown, the answer to compare with, and a rule to check besides.
absl::StatusOr<std::string> PreferenceGold(const Json& object, const Prompt& prompt) {
  PONDER_ASSIGN_OR_RETURN(std::string given, Text(object, "gold", ""));
  const Json as_object = Json::parse(given, nullptr, /*allow_exceptions=*/false);
  if (as_object.is_object() && as_object.contains("messages")) return given;
  nlohmann::ordered_json gold = {{"messages", MessagesToJson(prompt.messages)}};
  if (!given.empty()) gold["reference"] = given;
  if (object.contains("check")) gold["check"] = object["check"];
  if (prompt.kind == "preference" && given.empty())
    return Wrong("no 'gold'; a preference needs an answer to compare with");
  return gold.dump();
}

absl::StatusOr<Prompt> ParseOurs(const Json& object) {
  Prompt prompt;
  PONDER_ASSIGN_OR_RETURN(prompt.id, NonEmptyText(object, "id"));
  PONDER_ASSIGN_OR_RETURN(prompt.kind, Kind(object, "kind"));
  PONDER_ASSIGN_OR_RETURN(prompt.messages, Messages(object));
  if (prompt.kind == "reward" || prompt.kind == "preference") {
    PONDER_ASSIGN_OR_RETURN(prompt.gold, PreferenceGold(object, prompt));
  } else {
    PONDER_ASSIGN_OR_RETURN(prompt.gold, NonEmptyText(object, "gold"));
  }
  PONDER_ASSIGN_OR_RETURN(prompt.source, Text(object, "source", ""));
  PONDER_ASSIGN_OR_RETURN(prompt.difficulty, Difficulty(object));
  return prompt;
}

absl::StatusOr<Prompt> ParseGsm8k(const Json& object, int64_t line_number) {
  PONDER_ASSIGN_OR_RETURN(std::string question, NonEmptyText(object, "question"));
  PONDER_ASSIGN_OR_RETURN(const std::string answer, Text(object, "answer", nullptr));
  const size_t marker = answer.rfind("####");
  const std::string gold =
      marker == std::string::npos
          ? ""
          : absl::StrReplaceAll(
                absl::StripAsciiWhitespace(absl::string_view(answer).substr(marker + 4)),
                {{",", ""}});
  const bool is_number = gold.find_first_of("0123456789") != std::string::npos &&
                         gold.find_first_not_of("0123456789.-") == std::string::npos &&
                         gold.rfind('-') + 1 <= 1;
  if (!is_number) return Wrong("'answer' must end in '#### n' with the number n, as in GSM8K");
  return Prompt{absl::StrCat("gsm8k-", line_number),
                "math",
                {{"user", std::move(question)}},
                gold,
                "gsm8k",
                0};
}

absl::StatusOr<Prompt> ParseVerl(const Json& object, int64_t line_number) {
  const Json& reward_model = object["reward_model"];
  if (!reward_model.is_object())
    return Wrong("'reward_model' must be an object with 'ground_truth'");
  Prompt prompt;
  PONDER_ASSIGN_OR_RETURN(prompt.kind, Kind(object, "ability"));
  PONDER_ASSIGN_OR_RETURN(prompt.messages, Messages(object));
  auto gold = NonEmptyText(reward_model, "ground_truth");
  if (!gold.ok()) return Annotate(gold.status(), "'reward_model'");
  prompt.gold = *std::move(gold);
  PONDER_ASSIGN_OR_RETURN(prompt.source, Text(object, "data_source", ""));
  std::string index;
  const auto extra_info = object.find("extra_info");
  if (extra_info != object.end() && extra_info->is_object()) {
    PONDER_ASSIGN_OR_RETURN(index, Text(*extra_info, "index", ""));
  }
  prompt.id = absl::StrCat(prompt.source.empty() ? "verl" : prompt.source, "-",
                           index.empty() ? absl::StrCat(line_number) : index);
  return prompt;
}

}  // namespace

absl::StatusOr<Prompt> ParsePromptLine(absl::string_view line, int64_t line_number) {
  if (absl::StripAsciiWhitespace(line).empty()) return Wrong("an empty line; take it out");
  PONDER_ASSIGN_OR_RETURN(const Json object, ParseObject(line));
  if (object.contains("reward_model")) return ParseVerl(object, line_number);
  if (object.contains("gold") || object.contains("id")) return ParseOurs(object);
  if (object.contains("question")) return ParseGsm8k(object, line_number);
  return Wrong(
      "no known layout; a line needs 'id', 'prompt' and 'gold' (ours), 'question' and 'answer' "
      "(GSM8K), or 'prompt' and "
      "'reward_model' (verl)");
}

nlohmann::ordered_json MessagesToJson(const std::vector<Message>& messages) {
  auto json = nlohmann::ordered_json::array();
  for (const Message& message : messages) {
    json.push_back({{"role", message.role}, {"content", message.content}});
  }
  return json;
}

nlohmann::ordered_json PromptToJson(const Prompt& prompt) {
  nlohmann::ordered_json object = {{"id", prompt.id}, {"kind", prompt.kind}};
  if (prompt.messages.size() == 1 && prompt.messages[0].role == "user") {
    object["prompt"] = prompt.messages[0].content;
  } else {
    object["prompt"] = MessagesToJson(prompt.messages);
  }
  object["gold"] = prompt.gold;
  object["source"] = prompt.source;
  object["difficulty"] = prompt.difficulty;
  return object;
}

}  // namespace ponder::data
