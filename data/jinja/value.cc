#include "data/jinja/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data::jinja {
namespace {

Value Make(Value::Kind kind) {
  Value value;
  value.kind = kind;
  return value;
}

int DepthOf(const List& items) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth);
  return depth + 1;
}

void Newline(const JsonStyle& style, int level, std::string* json) {
  if (style.indent >= 0)
    absl::StrAppend(json, "\n", std::string(static_cast<size_t>(style.indent * level), ' '));
}

void AppendJsonString(absl::string_view text, bool ensure_ascii, std::string* json) {
  json->push_back('"');
  for (size_t i = 0; i < text.size();) {
    const Utf8Step step = NextUtf8(text, i);
    const char32_t c = step.code;
    if (c == '"' || c == '\\') {
      json->push_back('\\');
      json->push_back(static_cast<char>(c));
    } else if (c == '\n') {
      json->append("\\n");
    } else if (c == '\r') {
      json->append("\\r");
    } else if (c == '\t') {
      json->append("\\t");
    } else if (c == '\b') {
      json->append("\\b");
    } else if (c == '\f') {
      json->append("\\f");
    } else if (c < 0x20 || (ensure_ascii && c > 0x7E && c < 0x10000)) {
      absl::StrAppendFormat(json, "\\u%04x", static_cast<uint32_t>(c));
    } else if (ensure_ascii && c >= 0x10000) {
      absl::StrAppendFormat(json, "\\u%04x\\u%04x",
                            static_cast<uint32_t>(0xD800 + ((c - 0x10000) >> 10)),
                            static_cast<uint32_t>(0xDC00 + ((c - 0x10000) & 0x3FF)));
    } else {
      json->append(text.data() + i, step.length);
    }
    i += step.length;
  }
  json->push_back('"');
}

bool AppendJson(const Value& value, const JsonStyle& style, int level, std::string* json,
                std::string* problem) {
  const std::string comma = !style.item_separator.empty() ? style.item_separator
                            : style.indent >= 0           ? ","
                                                          : ", ";
  const std::string colon = !style.key_separator.empty() ? style.key_separator : ": ";
  switch (value.kind) {
    case Value::Kind::kNone:
      json->append("null");
      return true;
    case Value::Kind::kBool:
      json->append(value.integer != 0 ? "true" : "false");
      return true;
    case Value::Kind::kInt:
      absl::StrAppend(json, value.integer);
      return true;
    case Value::Kind::kFloat:
      json->append(std::isnan(value.real)   ? "NaN"
                   : std::isinf(value.real) ? (value.real > 0 ? "Infinity" : "-Infinity")
                                            : FloatRepr(value.real));
      return true;
    case Value::Kind::kString:
      AppendJsonString(value.string(), style.ensure_ascii, json);
      return true;
    case Value::Kind::kList:
    case Value::Kind::kTuple: {
      json->push_back('[');
      for (size_t i = 0; i < value.list->size(); ++i) {
        if (i > 0) json->append(comma);
        Newline(style, level + 1, json);
        if (!AppendJson((*value.list)[i], style, level + 1, json, problem)) return false;
      }
      if (!value.list->empty()) Newline(style, level, json);
      json->push_back(']');
      return true;
    }
    case Value::Kind::kDict: {
      Dict entries = *value.dict;
      if (style.sort_keys) {
        std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
          return a.first.Str() < b.first.Str();
        });
      }
      json->push_back('{');
      for (size_t i = 0; i < entries.size(); ++i) {
        if (i > 0) json->append(comma);
        Newline(style, level + 1, json);
        const Value& key = entries[i].first;
        std::string name;
        if (key.is_string()) {
          name = key.string();
        } else if (!AppendJson(key, {}, 0, &name, problem)) {
          return false;
        }
        AppendJsonString(name, style.ensure_ascii, json);
        json->append(colon);
        if (!AppendJson(entries[i].second, style, level + 1, json, problem)) return false;
      }
      if (!entries.empty()) Newline(style, level, json);
      json->push_back('}');
      return true;
    }
    default:
      *problem = absl::StrCat("Object of type ", value.TypeName(), " is not JSON serializable");
      return false;
  }
}

}  // namespace

Value Value::Undefined(std::string message) {
  Value value;
  value.text = std::make_shared<const std::string>(std::move(message));
  return value;
}
Value Value::None() { return Make(Kind::kNone); }
Value Value::Bool(bool boolean) {
  Value value = Make(Kind::kBool);
  value.integer = boolean ? 1 : 0;
  return value;
}
Value Value::Int(int64_t integer) {
  Value value = Make(Kind::kInt);
  value.integer = integer;
  return value;
}
Value Value::Float(double real) {
  Value value = Make(Kind::kFloat);
  value.real = real;
  return value;
}
Value Value::String(std::string text) {
  Value value = Make(Kind::kString);
  value.text = std::make_shared<const std::string>(std::move(text));
  return value;
}
Value Value::MakeList(List items, Kind kind) {
  Value value = Make(kind);
  value.depth = DepthOf(items);
  value.list = std::make_shared<const List>(std::move(items));
  return value;
}
Value Value::MakeDict(Dict entries) {
  Value value = Make(Kind::kDict);
  for (const auto& [key, item] : entries) value.depth = std::max(value.depth, item.depth + 1);
  value.dict = std::make_shared<Dict>(std::move(entries));
  return value;
}
Value Value::MakeFunction(Function function) {
  Value value = Make(Kind::kFunction);
  value.function = std::make_shared<const Function>(std::move(function));
  return value;
}

const Value* Value::Find(const Value& key) const {
  for (const auto& [name, value] : *dict)
    if (name == key) return &value;
  return nullptr;
}

const Value* Value::Find(absl::string_view key) const {
  for (const auto& [name, value] : *dict)
    if (name.is_string() && name.string() == key) return &value;
  return nullptr;
}

bool Value::Truthy() const {
  switch (kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return integer != 0;
    case Kind::kFloat:
      return real != 0;
    case Kind::kString:
      return !text->empty();
    case Kind::kList:
    case Kind::kTuple:
      return !list->empty();
    case Kind::kDict:
      return !dict->empty();
    case Kind::kNamespace:
    case Kind::kFunction:
      return true;
  }
  return false;
}

std::string Value::Str() const {
  if (kind == Kind::kUndefined) return "";
  return is_string() ? *text : Repr();
}

std::string Value::Repr() const {
  switch (kind) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return integer != 0 ? "True" : "False";
    case Kind::kInt:
      return absl::StrCat(integer);
    case Kind::kFloat:
      return FloatRepr(real);
    case Kind::kString:
      return StringRepr(*text);
    case Kind::kList:
    case Kind::kTuple: {
      std::string repr = kind == Kind::kList ? "[" : "(";
      for (size_t i = 0; i < list->size(); ++i)
        absl::StrAppend(&repr, i > 0 ? ", " : "", (*list)[i].Repr());
      if (kind == Kind::kTuple && list->size() == 1) repr.push_back(',');
      return repr + (kind == Kind::kList ? "]" : ")");
    }
    case Kind::kDict: {
      std::string repr = "{";
      for (size_t i = 0; i < dict->size(); ++i) {
        absl::StrAppend(&repr, i > 0 ? ", " : "", (*dict)[i].first.Repr(), ": ",
                        (*dict)[i].second.Repr());
      }
      return repr + "}";
    }
    case Kind::kNamespace:
      return "<Namespace>";
    case Kind::kFunction:
      return "<function>";
  }
  return "";
}

const char* Value::TypeName() const {
  switch (kind) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kFunction:
      return "function";
  }
  return "";
}

bool Value::operator==(const Value& other) const {
  if (is_number() && other.is_number()) {
    return is_whole() && other.is_whole() ? integer == other.integer : number() == other.number();
  }
  if (kind != other.kind) return false;
  switch (kind) {
    case Kind::kString:
      return text == other.text || *text == *other.text;
    case Kind::kList:
    case Kind::kTuple:
      return list == other.list || *list == *other.list;
    case Kind::kDict:
      return dict == other.dict || (dict->size() == other.dict->size() &&
                                    std::all_of(dict->begin(), dict->end(), [&](const auto& entry) {
                                      const Value* twin = other.Find(entry.first);
                                      return twin != nullptr && *twin == entry.second;
                                    }));
    case Kind::kNamespace:
      return dict == other.dict;
    case Kind::kFunction:
      return function == other.function;
    default:
      return true;  // None and undefined
  }
}

void Put(Dict* entries, Value key, Value value) {
  for (auto& [name, held] : *entries) {
    if (!(name == key)) continue;
    held = std::move(value);
    return;
  }
  entries->emplace_back(std::move(key), std::move(value));
}

const Value* Arguments::Get(size_t index, absl::string_view name) const {
  if (index < values.size()) return &values[index];
  for (const auto& [given, value] : named)
    if (given == name) return &value;
  return nullptr;
}

std::string FloatRepr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 400> buffer;
  const double size = std::fabs(value);
  const bool exponent = value != 0 && (size < 1e-4 || size >= 1e16);
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                    exponent ? std::chars_format::scientific : std::chars_format::fixed);
  std::string repr(buffer.data(), end.ptr);
  if (!exponent && repr.find('.') == std::string::npos) repr += ".0";
  return repr;
}

std::string StringRepr(absl::string_view text) {
  const bool has_single = text.find('\'') != absl::string_view::npos;
  const char quote = has_single && text.find('"') == absl::string_view::npos ? '"' : '\'';
  std::string repr(1, quote);
  for (size_t i = 0; i < text.size();) {
    const Utf8Step step = NextUtf8(text, i);
    const char32_t c = step.code;
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      repr.push_back('\\');
      repr.push_back(static_cast<char>(c));
    } else if (c == '\n') {
      repr += "\\n";
    } else if (c == '\r') {
      repr += "\\r";
    } else if (c == '\t') {
      repr += "\\t";
    } else if (c < 0x20 || (c >= 0x7F && c < 0xA1) || c == 0xAD) {
      absl::StrAppendFormat(&repr, "\\x%02x", static_cast<uint32_t>(c));
    } else {
      repr.append(text.data() + i, step.length);
    }
    i += step.length;
  }
  repr.push_back(quote);
  return repr;
}

bool ToJson(const Value& value, const JsonStyle& style, std::string* json, std::string* problem) {
  return AppendJson(value, style, 0, json, problem);
}

std::u32string Characters(absl::string_view text) {
  std::u32string characters;
  characters.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Step step = NextUtf8(text, i);
    characters.push_back(step.code);
    i += step.length;
  }
  return characters;
}

std::string Utf8(std::u32string_view characters) {
  std::string text;
  for (const char32_t c : characters) AppendUtf8(c, &text);
  return text;
}

int64_t CountCharacters(absl::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

}  // namespace ponder::data::jinja
