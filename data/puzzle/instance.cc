#include "data/puzzle/instance.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::data::puzzle {
namespace {

using Json = nlohmann::json;  // keys in order

constexpr size_t kMaxList = 4096;  // elements of a field

absl::Status Broken(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("puzzle gold: ", what));
}

bool FitsInt(const Json& json) {
  return json.is_number_integer() && json >= INT32_MIN && json <= INT32_MAX;
}

absl::StatusOr<Instance::Value> ReadValue(const std::string& name, const Json& json) {
  if (FitsInt(json)) return json.get<int>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array() && json.size() <= kMaxList) {
    bool ints = true, texts = true;
    for (const Json& element : json) {
      ints = ints && FitsInt(element);
      texts = texts && element.is_string();
    }
    if (ints) return json.get<std::vector<int>>();
    if (texts) return json.get<std::vector<std::string>>();
  }
  return Broken(
      absl::StrCat("field '", name, "' is no whole number, no text and no list of one of them"));
}

absl::StatusOr<Instance> ReadObject(const Json& object) {
  Instance instance;
  for (const auto& [name, json] : object.items()) {
    PONDER_ASSIGN_OR_RETURN(Instance::Value value, ReadValue(name, json));
    instance.Set(name, std::move(value));
  }
  return instance;
}

Json ToJsonObject(const std::map<std::string, Instance::Value>& fields) {
  Json object = Json::object();
  for (const auto& [name, value] : fields) {
    std::visit([&, key = name](const auto& plain) { object[key] = plain; }, value);
  }
  return object;
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// "1 2 3" or "1, 2, 3".
bool ReadNumbers(const std::string& text, std::vector<int>* numbers) {
  for (const absl::string_view part :
       absl::StrSplit(text, absl::ByAnyChar(" ,"), absl::SkipEmpty())) {
    int number = 0;
    if (!absl::SimpleAtoi(part, &number) || numbers->size() == kMaxList) return false;
    numbers->push_back(number);
  }
  return !numbers->empty();
}

}  // namespace

std::string Instance::ToJson() const { return Dump(ToJsonObject(fields_)); }

std::string Gold::ToJson() const {
  return absl::StrCat("{\"family\":", Dump(family), ",\"instance\":", instance.ToJson(), "}");
}

absl::StatusOr<Gold> ParseGold(absl::string_view text) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Broken("not a JSON object {family, instance}");
  if (!json.contains("family") || !json["family"].is_string()) return Broken("no text 'family'");
  if (!json.contains("instance")) return Broken("no 'instance'");
  Gold gold;
  gold.family = json["family"].get<std::string>();
  Json instance = json["instance"];
  if (instance.is_string()) {
    const std::string inside = instance.get<std::string>();
    std::vector<int> numbers;
    instance = ReadNumbers(inside, &numbers)
                   ? Json(numbers)
                   : Json::parse(inside, nullptr, /*allow_exceptions=*/false);
  }
  if (instance.is_array()) instance = Json{{"numbers", std::move(instance)}};
  if (!instance.is_object()) return Broken("the instance is no JSON object");
  PONDER_ASSIGN_OR_RETURN(gold.instance, ReadObject(instance));
  return gold;
}

int InstanceReader::Int(const std::string& name, int lo, int hi) {
  const Instance::Value* value = instance_.Find(name);
  const int* number = value == nullptr ? nullptr : std::get_if<int>(value);
  if (number != nullptr && *number >= lo && *number <= hi) return *number;
  Fail(absl::StrCat("'", name, "' must be a whole number from ", lo, " to ", hi));
  return lo;
}

std::string InstanceReader::Text(const std::string& name) {
  const Instance::Value* value = instance_.Find(name);
  const std::string* text = value == nullptr ? nullptr : std::get_if<std::string>(value);
  if (text != nullptr) return *text;
  Fail(absl::StrCat("'", name, "' must be a text"));
  return "";
}

std::vector<int> InstanceReader::Ints(const std::string& name, size_t least, size_t most, int lo,
                                      int hi) {
  const Instance::Value* value = instance_.Find(name);
  const auto* list = value == nullptr ? nullptr : std::get_if<std::vector<int>>(value);
  bool good = list != nullptr && list->size() >= least && list->size() <= most;
  for (size_t i = 0; good && i < list->size(); ++i) good = (*list)[i] >= lo && (*list)[i] <= hi;
  if (good) return *list;
  Fail(absl::StrCat("'", name, "' must be a list of ", least, " to ", most, " whole numbers from ",
                    lo, " to ", hi));
  return std::vector<int>(least, lo);
}

std::vector<std::string> InstanceReader::Texts(const std::string& name, size_t least, size_t most) {
  const Instance::Value* value = instance_.Find(name);
  const auto* list = value == nullptr ? nullptr : std::get_if<std::vector<std::string>>(value);
  if (list != nullptr && list->size() >= least && list->size() <= most) return *list;
  // An empty list says nothing about its type.
  const auto* none = value == nullptr ? nullptr : std::get_if<std::vector<int>>(value);
  if (!(least == 0 && none != nullptr && none->empty())) {
    Fail(absl::StrCat("'", name, "' must be a list of ", least, " to ", most, " texts"));
  }
  return std::vector<std::string>(least);
}

}  // namespace ponder::data::puzzle
