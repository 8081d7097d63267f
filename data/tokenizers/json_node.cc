#include "data/tokenizers/json_node.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace {

constexpr int kMaxDepth = 64;

// How deep brackets nest, strings aside.
int Depth(absl::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

absl::StatusOr<nlohmann::json> ParseJsonFile(const std::string& text, const std::string& path,
                                             size_t max_bytes) {
  if (text.size() > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the file has ", text.size(), " bytes, the most is ", max_bytes));
  }
  if (Depth(text) > kMaxDepth) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": arrays and objects nest deeper than ", kMaxDepth, " levels"));
  }
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    absl::string_view what = error.what();
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not JSON: ", absl::CHexEscape(what.substr(what.find("] ") + 2))));
  }
}

absl::Status JsonNode::Error(absl::string_view problem) const {
  return absl::InvalidArgumentError(
      absl::StrCat(path_, ": ",
                   absl::StrReplaceAll(absl::StrCat(key_.empty() ? "the file" : key_, " ", problem),
                                       {{"\n", "\\n"}, {"\r", "\\r"}})));
}

JsonNode JsonNode::Child(const char* name) const {
  return JsonNode((*value_)[name], path_, key_.empty() ? name : absl::StrCat(key_, ".", name));
}

absl::StatusOr<JsonNode> JsonNode::At(const char* name) const {
  if (!value_->is_object()) return Error("must be an object");
  if (!value_->contains(name) || (*value_)[name].is_null()) {
    return Error(absl::StrCat("has no \"", name, "\""));
  }
  return Child(name);
}

std::optional<JsonNode> JsonNode::Find(const char* name) const {
  if (!value_->is_object() || !value_->contains(name) || (*value_)[name].is_null())
    return std::nullopt;
  return Child(name);
}

JsonNode JsonNode::Element(size_t index) const {
  return JsonNode((*value_)[index], path_, absl::StrCat(key_, "[", index, "]"));
}

absl::StatusOr<std::vector<JsonNode>> JsonNode::Elements() const {
  if (!value_->is_array()) return Error("must be an array");
  std::vector<JsonNode> elements;
  elements.reserve(value_->size());
  for (size_t i = 0; i < value_->size(); ++i) elements.push_back(Element(i));
  return elements;
}

absl::StatusOr<std::string> JsonNode::String() const {
  if (!value_->is_string()) return Error("must be a string");
  return value_->get<std::string>();
}

absl::StatusOr<int64_t> JsonNode::Int(int64_t least, int64_t most) const {
  // An unsigned value above 2^63 reads as a negative one: it is out of range either way.
  if (!value_->is_number_integer() || value_->get<int64_t>() < least ||
      value_->get<int64_t>() > most) {
    return Error(absl::StrCat("is ",
                              value_->is_primitive() ? value_->dump(-1, ' ', true) : "a list",
                              "; it must be a whole number from ", least, " to ", most));
  }
  return value_->get<int64_t>();
}

absl::StatusOr<std::string> JsonNode::StringAt(const char* name) const {
  PONDER_ASSIGN_OR_RETURN(const JsonNode node, At(name));
  return node.String();
}

absl::StatusOr<bool> JsonNode::BoolOr(const char* name, bool absent) const {
  const std::optional<JsonNode> node = Find(name);
  if (!node.has_value()) return absent;
  if (!node->value().is_boolean()) return node->Error("must be true or false");
  return node->value().get<bool>();
}

absl::StatusOr<int64_t> JsonNode::IntOr(const char* name, int64_t absent, int64_t least,
                                        int64_t most) const {
  const std::optional<JsonNode> node = Find(name);
  if (!node.has_value()) return absent;
  return node->Int(least, most);
}

}  // namespace ponder::data
