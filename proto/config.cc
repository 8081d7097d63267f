#include "proto/config.h"

#include <map>
#include <optional>
#include <sstream>

#include "absl/algorithm/container.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "nlohmann/json.hpp"
#include "proto/config_check.h"
#include "proto/config_keys.h"
#include "proto/config_value.h"
#include "proto/recipes.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/yaml.h"

namespace ponder {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool IsUtf8(absl::string_view text) {
  try {
    (void)nlohmann::json(std::string(text)).dump();
    return true;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

absl::Status Wrong(const std::string& place, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(place, ": ", what));
}

absl::Status UnknownKey(const std::string& place, const std::string& given_key) {
  const std::string key = absl::Utf8SafeCHexEscape(given_key.substr(0, 200));
  if (absl::c_linear_search(ConfigKeys(), key)) {  // written with dots, as after --set
    return Wrong(place, absl::StrCat("unknown key '", key,
                                     "': in a file, write each section on a line of its own"));
  }
  const std::string nearest = NearestConfigKey(key);
  if (!nearest.empty()) {
    return Wrong(place, absl::StrCat("unknown key ", key, ", did you mean '", nearest, "'?"));
  }
  return Wrong(place,
               absl::StrCat("unknown key ", key, ", see the keys with: ponder config --print"));
}

absl::Status WrongType(const std::string& place, const std::string& key,
                       const FieldDescriptor& field, absl::string_view found) {
  return Wrong(place, absl::StrCat("key ", key, " must be ", Expected(field), ", not ", found));
}

// Sets the field if `value` is of its type.
absl::Status SetKey(const std::string& place, const std::string& key, const ScalarValue& value,
                    const FieldDescriptor& field, Message& section) {
  const std::string wrong = SetScalar(value, field, section);
  return wrong.empty() ? absl::OkStatus() : Wrong(place, absl::StrCat("key ", key, " ", wrong));
}

// Where each key was given: "file:line" or "--set key=value".
using Places = std::map<std::string, std::string>;

class YamlReader {
 public:
  YamlReader(std::string name, Places& places) : name_(std::move(name)), places_(places) {}

  // Reads a map into `section`, whose keys begin with `prefix`.
  absl::Status ReadSection(const YAML::Node& node, const std::string& prefix, Message& section) {
    for (const auto& entry : node) {
      const std::string place = Place(entry.first.Mark());
      if (!entry.first.IsScalar()) return Wrong(place, "a key must be a plain word");
      const std::string key = absl::StrCat(prefix, entry.first.Scalar());
      const FieldDescriptor* field = section.GetDescriptor()->FindFieldByName(entry.first.Scalar());
      if (field == nullptr) return UnknownKey(place, key);
      const auto [first, is_first] = places_.emplace(key, place);
      if (!is_first)
        return Wrong(place, absl::StrCat("key ", key, " is given twice, first at ", first->second));
      PONDER_RETURN_IF_ERROR(ReadValue(entry.second, place, key, *field, section));
    }
    return absl::OkStatus();
  }

  std::string Place(const YAML::Mark& mark) const {
    return absl::StrCat(name_, ":", mark.line + 1);
  }

 private:
  absl::Status ReadValue(const YAML::Node& node, const std::string& place, const std::string& key,
                         const FieldDescriptor& field, Message& section) {
    const std::string& tag = node.Tag();
    if (!tag.empty() && tag != "?" && tag != "!") {
      return Wrong(place,
                   absl::StrCat("key ", key, " has the YAML tag ", tag, "; write the bare value"));
    }
    if (field.message_type() != nullptr) {
      if (node.IsNull()) return absl::OkStatus();  // a section whose every key is commented out
      if (!node.IsMap()) return WrongType(place, key, field, Kind(node));
      return ReadSection(node, absl::StrCat(key, "."),
                         *section.GetReflection()->MutableMessage(&section, &field));
    }
    if (!node.IsScalar()) return WrongType(place, key, field, Kind(node));
    return SetKey(place, key, {node.Scalar(), tag == "!"}, field, section);
  }

  static std::string Kind(const YAML::Node& node) {
    if (node.IsNull()) return "nothing";
    if (node.IsMap()) return "a section of keys";
    if (node.IsSequence()) return "a list";
    return Shown({node.Scalar(), node.Tag() == "!"});
  }

  const std::string name_;
  Places& places_;
};

// What yaml-cpp would let pass or explain badly.
absl::Status CheckText(absl::string_view yaml, const std::string& name) {
  int line_number = 0;
  for (const absl::string_view line : absl::StrSplit(yaml, '\n')) {
    const std::string place = absl::StrCat(name, ":", ++line_number);
    const size_t text = line.find_first_not_of(" \t\r");
    if (text != absl::string_view::npos && absl::StrContains(line.substr(0, text), '\t')) {
      return Wrong(place, "the line is indented with a tab; use spaces");
    }
    if (!IsUtf8(line)) return Wrong(place, "the line is not valid UTF-8; save the file as UTF-8");
  }
  return absl::OkStatus();
}

// Hears of every document of a YAML stream and notes where the last one began.
class DocumentStarts : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { last_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  const YAML::Mark& last() const { return last_; }

 private:
  YAML::Mark last_;
};

// Where a second document begins, if there is one. yaml-cpp's LoadAll would read documents without
// end from text such as ", x": its parser stays where it is and finds another, empty one.
std::optional<YAML::Mark> SecondDocument(const std::string& yaml) {
  std::istringstream stream(yaml);
  YAML::Parser parser(stream);
  DocumentStarts starts;
  if (!parser.HandleNextDocument(starts) || !parser.HandleNextDocument(starts)) return std::nullopt;
  return starts.last();
}

absl::Status ReadYaml(absl::string_view yaml, const std::string& name, v1::Config& config,
                      Places& places) {
  PONDER_RETURN_IF_ERROR(CheckText(yaml, name));
  YamlReader reader(name, places);
  try {
    const std::string text(yaml);
    const std::optional<YAML::Mark> second = SecondDocument(text);
    if (second.has_value()) {
      return Wrong(reader.Place(*second),
                   "stray text or a second document; a config is one map of keys");
    }
    const YAML::Node document = YAML::Load(text);
    if (document.IsNull()) return absl::OkStatus();
    if (!document.IsMap()) {
      return Wrong(reader.Place(document.Mark()), "a config is a map of keys, such as \"seed: 1\"");
    }
    return reader.ReadSection(document, "", config);
  } catch (const YAML::Exception& error) {
    return Wrong(reader.Place(error.mark),
                 absl::StrCat("not valid YAML: ", absl::Utf8SafeCHexEscape(error.msg),
                              "; check the indentation and quotes"));
  }
}

absl::Status ApplyOverride(const std::string& text, v1::Config& config, Places& places) {
  const std::string place = absl::StrCat("--set ", absl::Utf8SafeCHexEscape(text));
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return Wrong(place, "write key=value, such as learner.optimizer.lr=1e-4");
  }
  const std::string key = text.substr(0, equals);
  const ScalarValue value{text.substr(equals + 1)};
  if (!IsUtf8(text)) return Wrong(place, "not valid UTF-8");
  Message* section = &config;
  const std::vector<std::string> names = absl::StrSplit(key, '.');
  for (size_t i = 0; i < names.size(); ++i) {
    const FieldDescriptor* field = section->GetDescriptor()->FindFieldByName(names[i]);
    const bool is_last = i + 1 == names.size();
    if (field == nullptr || (!is_last && field->message_type() == nullptr))
      return UnknownKey(place, key);
    if (field->message_type() == nullptr) {
      PONDER_RETURN_IF_ERROR(SetKey(place, key, value, *field, *section));
    } else if (is_last) {
      return Wrong(place, absl::StrCat("key ", key, " is a section; set one of its keys, such as ",
                                       key, ".", field->message_type()->field(0)->name()));
    } else {
      section = section->GetReflection()->MutableMessage(section, field);
    }
  }
  places[key] = place;
  return absl::OkStatus();
}

void PrintSection(const Message& section, const std::string& indent, std::string& yaml) {
  for (int i = 0; i < section.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *section.GetDescriptor()->field(i);
    if (field.message_type() == nullptr) {
      absl::StrAppend(&yaml, indent, field.name(), ": ", ScalarText(section, field), "\n");
    } else {
      absl::StrAppend(&yaml, indent, field.name(), ":\n");
      PrintSection(section.GetReflection()->GetMessage(section, &field), indent + "  ", yaml);
    }
  }
}

}  // namespace

absl::StatusOr<v1::Config> ParseConfig(absl::string_view yaml, const std::string& name,
                                       const std::vector<std::string>& overrides) {
  v1::Config config;
  Places places;
  PONDER_RETURN_IF_ERROR(ReadYaml(yaml, name, config, places));
  // A recipe named on the command line is meant whole: the file may hold the parts of another.
  for (const std::string& text : overrides) {
    if (absl::StartsWith(text, "rl.algorithm=")) ClearRecipe(config.mutable_rl());
  }
  for (const std::string& text : overrides)
    PONDER_RETURN_IF_ERROR(ApplyOverride(text, config, places));
  ApplyRecipe(config.mutable_rl());
  const std::optional<ConfigProblem> problem = FindConfigProblem(config);
  if (!problem.has_value()) return config;
  // The defaults fit each other, so somebody gave one of the keys.
  for (const std::string& key : problem->keys) {
    const auto place = places.find(key);
    if (place != places.end()) return Wrong(place->second, problem->message);
  }
  return Wrong(name, problem->message);
}

absl::StatusOr<v1::Config> LoadConfig(const std::string& path,
                                      const std::vector<std::string>& overrides) {
  if (path.empty()) return ParseConfig("", "defaults", overrides);
  const absl::StatusOr<std::string> yaml = ReadFile(path);
  // Whoever named the file is to name another one: a wrong argument, not a failure on the way.
  if (!yaml.ok()) return absl::InvalidArgumentError(yaml.status().message());
  return ParseConfig(*yaml, path, overrides);
}

absl::Status CheckConfig(const v1::Config& config) {
  const std::optional<ConfigProblem> problem = FindConfigProblem(config);
  return problem.has_value() ? absl::InvalidArgumentError(problem->message) : absl::OkStatus();
}

std::string PrintConfig(const v1::Config& config) {
  std::string yaml;
  PrintSection(config, "", yaml);
  return yaml;
}

}  // namespace ponder
