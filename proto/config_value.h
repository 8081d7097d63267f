// One value of the config: from the text that somebody wrote to a typed field, and back.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "proto/config.pb.h"

namespace ponder {

// A value as written: a bare word, or text in quotes (or a YAML block), which is never a number.
struct ScalarValue {
  std::string text;
  bool quoted = false;
};

// As messages show it: one line, escaped and cut to a readable length.
std::string Shown(const ScalarValue& value);

// What `field` takes, e.g. "a whole number".
std::string Expected(const google::protobuf::FieldDescriptor& field);

// Sets `field`, which is neither repeated nor a message, if `value` is of its type; bounds are
// config_check.h's. Returns "", or what is wrong, e.g. "must be a whole number, not 'many'".
std::string SetScalar(const ScalarValue& value, const google::protobuf::FieldDescriptor& field,
                      google::protobuf::Message& section);

// The shortest text that reads back as `number`.
std::string NumberText(double number);

// The value (or default) of such a field as YAML: text in double quotes.
std::string ScalarText(const google::protobuf::Message& section,
                       const google::protobuf::FieldDescriptor& field);

// The same for a dotted key, which must exist and not be a section.
std::string ConfigValueText(const v1::Config& config, absl::string_view key);

}  // namespace ponder
