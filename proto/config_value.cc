#include "proto/config_value.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "nlohmann/json.hpp"

namespace ponder {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// [+-]digits, without anything that a more liberal parser would take.
bool IsWholeNumber(absl::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == absl::string_view::npos;
}

// "nan" and "inf" are not numbers here; one too large for a double is refused as infinite.
bool ParseFinite(const std::string& text, double* number) {
  return text.find_first_not_of("0123456789+-.eE") == std::string::npos &&
         absl::SimpleAtod(text, number) && std::isfinite(*number);
}

// Whether `text` is of the field's type; if so it is set.
bool SetNumberOrBool(const std::string& text, const FieldDescriptor& field, Message& section) {
  const auto& reflection = *section.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") return false;
      reflection.SetBool(&section, &field, text == "true");
      return true;
    case FieldDescriptor::CPPTYPE_INT64: {
      int64_t number;
      if (!IsWholeNumber(text) || !absl::SimpleAtoi(text, &number)) return false;
      reflection.SetInt64(&section, &field, number);
      return true;
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      uint64_t number;
      if (!IsWholeNumber(text) || !absl::SimpleAtoi(text, &number)) return false;
      reflection.SetUInt64(&section, &field, number);
      return true;
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double number;
      if (!ParseFinite(text, &number)) return false;
      reflection.SetDouble(&section, &field, number);
      return true;
    }
    default:
      return false;
  }
}

}  // namespace

std::string Shown(const ScalarValue& value) {
  constexpr size_t kLongest = 60;
  const std::string escaped = absl::Utf8SafeCHexEscape(value.text.substr(0, kLongest));
  const char* cut = value.text.size() > kLongest ? "..." : "";
  return value.quoted ? absl::StrCat("the text \"", escaped, cut, "\"")
                      : absl::StrCat("'", escaped, cut, "'");
}

std::string Expected(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_INT64:
      return "a whole number";
    case FieldDescriptor::CPPTYPE_UINT64:
      return "a whole number of at least 0";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "a finite number";
    case FieldDescriptor::CPPTYPE_STRING:
      return "text";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "a section of keys";
    default:
      break;
  }
  PONDER_CHECK(false, field.full_name(), " has a type that config.proto may not use");
}

std::string SetScalar(const ScalarValue& value, const FieldDescriptor& field, Message& section) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    section.GetReflection()->SetString(&section, &field, value.text);
    return "";
  }
  if (!value.quoted && SetNumberOrBool(value.text, field, section)) return "";
  const bool too_large =
      !value.quoted && IsWholeNumber(value.text) &&
      field.cpp_type() != FieldDescriptor::CPPTYPE_BOOL &&
      (value.text[0] != '-' || field.cpp_type() != FieldDescriptor::CPPTYPE_UINT64);
  return absl::StrCat("must be ", Expected(field), ", not ", Shown(value),
                      too_large ? ", which does not fit 64 bits" : "");
}

std::string NumberText(double number) {
  const auto whole = static_cast<int64_t>(std::clamp(number, -1e15, 1e15));
  return static_cast<double>(whole) == number ? absl::StrCat(whole) : nlohmann::json(number).dump();
}

std::string ScalarText(const Message& section, const FieldDescriptor& field) {
  const auto& reflection = *section.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(section, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection.GetInt64(section, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(reflection.GetUInt64(section, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return NumberText(reflection.GetDouble(section, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return nlohmann::json(reflection.GetString(section, &field))
          .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    default:
      break;
  }
  PONDER_CHECK(false, field.full_name(), " has a type that config.proto may not use");
}

std::string ConfigValueText(const v1::Config& config, absl::string_view key) {
  const Message* section = &config;
  const std::vector<std::string> names = absl::StrSplit(key, '.');
  for (size_t i = 0;; ++i) {
    const FieldDescriptor* field = section->GetDescriptor()->FindFieldByName(names[i]);
    PONDER_CHECK(field != nullptr, "no key ", key);
    if (i + 1 == names.size()) return ScalarText(*section, *field);
    section = &section->GetReflection()->GetMessage(*section, field);
  }
}

}  // namespace ponder
