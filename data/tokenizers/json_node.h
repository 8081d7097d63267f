// JsonNode: a value inside a JSON file together with where it stands, so that every error names
// file and key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json_fwd.hpp"

namespace ponder::data {

// Parses a whole file. InvalidArgument, "path: what is wrong": not JSON, deeper than 64 levels, or
// larger than `max_bytes`.
absl::StatusOr<nlohmann::json> ParseJsonFile(const std::string& text, const std::string& path,
                                             size_t max_bytes);

// Of a Sequence in a Sequence, in whatever part of tokenizer.json.
constexpr int kMaxSequenceDepth = 8;

// A value; the JSON outlives it.
class JsonNode {
 public:
  // `path` of the file; `key` of the value in it, empty at the top.
  JsonNode(const nlohmann::json& value, std::string path, std::string key = "")
      : value_(&value), path_(std::move(path)), key_(std::move(key)) {}

  const nlohmann::json& value() const { return *value_; }
  const std::string& key() const { return key_; }

  // InvalidArgument, "path: key <problem>".
  absl::Status Error(absl::string_view problem) const;

  // A member that must be there and not null.
  absl::StatusOr<JsonNode> At(const char* name) const;
  // Nothing if it is absent or null, or if this is no object.
  std::optional<JsonNode> Find(const char* name) const;
  // The elements of an array, else an error.
  absl::StatusOr<std::vector<JsonNode>> Elements() const;
  JsonNode Element(size_t index) const;

  absl::StatusOr<std::string> String() const;
  absl::StatusOr<int64_t> Int(int64_t least, int64_t most) const;

  // Members by name.
  absl::StatusOr<std::string> StringAt(const char* name) const;
  absl::StatusOr<bool> BoolOr(const char* name, bool absent) const;
  absl::StatusOr<int64_t> IntOr(const char* name, int64_t absent, int64_t least,
                                int64_t most) const;

 private:
  JsonNode Child(const char* name) const;

  const nlohmann::json* value_;
  std::string path_, key_;
};

}  // namespace ponder::data
