#include "data/chat_template.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "data/jinja/run.h"
#include "data/jinja/syntax.h"
#include "data/tokenizers/unicode_text.h"
#include "nlohmann/json.hpp"

namespace ponder::data {

namespace jinja {
struct Template {
  Nodes nodes;
};
}  // namespace jinja

namespace {

constexpr int kMaxJsonDepth = 64;

jinja::Value FromJson(const nlohmann::ordered_json& json, int depth) {
  using jinja::Value;
  if (depth > kMaxJsonDepth) return Value::None();
  switch (json.type()) {
    case nlohmann::ordered_json::value_t::boolean:
      return Value::Bool(json.get<bool>());
    case nlohmann::ordered_json::value_t::number_integer:
    case nlohmann::ordered_json::value_t::number_unsigned:
      return Value::Int(json.get<int64_t>());
    case nlohmann::ordered_json::value_t::number_float:
      return Value::Float(json.get<double>());
    case nlohmann::ordered_json::value_t::string:
      return Value::String(ReplaceInvalidUtf8(json.get_ref<const std::string&>()));
    case nlohmann::ordered_json::value_t::array: {
      jinja::List items;
      for (const auto& item : json) items.push_back(FromJson(item, depth + 1));
      return Value::MakeList(std::move(items));
    }
    case nlohmann::ordered_json::value_t::object: {
      jinja::Dict entries;
      for (const auto& [key, value] : json.items())
        entries.emplace_back(Value::String(key), FromJson(value, depth + 1));
      return Value::MakeDict(std::move(entries));
    }
    default:
      return Value::None();
  }
}

}  // namespace

absl::StatusOr<ChatTemplate> ChatTemplate::Parse(absl::string_view text, const std::string& name) {
  auto parsed = std::make_shared<jinja::Template>();
  jinja::SyntaxError error;
  if (!jinja::Parse(ReplaceInvalidUtf8(text), &parsed->nodes, &error)) {
    const std::string place = error.source.empty() ? "" : absl::StrCat(", in ", error.source);
    return absl::InvalidArgumentError(
        absl::StrCat(name, ":", error.line, ": ",
                     absl::StrReplaceAll(absl::StrCat(error.message, place), {{"\n", "\\n"}})));
  }
  ChatTemplate made;
  made.name_ = name;
  made.parsed_ = std::move(parsed);
  return made;
}

ChatTemplate::Rendering ChatTemplate::Render(const nlohmann::ordered_json& variables,
                                             absl::Time now) const {
  jinja::Run run(now);
  for (const auto& [key, value] : variables.items()) run.SetGlobal(key, FromJson(value, 0));
  Rendering rendering;
  rendering.text = run.Render(parsed_->nodes);
  if (run.ok()) return rendering;
  rendering.text.clear();
  rendering.error = run.error().message.empty() ? "the template failed" : run.error().message;
  rendering.line = run.error().line;
  rendering.tag = run.error().source;
  return rendering;
}

}  // namespace ponder::data
