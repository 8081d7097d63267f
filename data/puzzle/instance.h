// A puzzle's instance: what is asked, without the answer. It travels as JSON in a prompt's gold.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ponder::data::puzzle {

// A value: named fields, each a whole number, a text, or a list of one of them.
class Instance {
 public:
  using Value = std::variant<int, std::string, std::vector<int>, std::vector<std::string>>;

  void Set(std::string name, Value value) { fields_[std::move(name)] = std::move(value); }
  const Value* Find(const std::string& name) const {
    const auto found = fields_.find(name);
    return found == fields_.end() ? nullptr : &found->second;
  }
  // One line; fields ordered by name, so that equal instances have equal bytes.
  std::string ToJson() const;

 private:
  std::map<std::string, Value> fields_;
};

// The gold of a prompt: {"family": ..., "instance": {...}}. A value.
struct Gold {
  std::string family;
  Instance instance;

  std::string ToJson() const;
};

// Reads what Gold::ToJson writes. The instance may also be JSON within a string, or a bare list of
// numbers ([1, 2] or "1 2"), which becomes its field "numbers". InvalidArgument says what is wrong.
absl::StatusOr<Gold> ParseGold(absl::string_view json);

// Reads an instance's fields, within bounds. The first field that is missing, of another type or
// out of bounds is remembered; it and all others then read as values that are safe to go on with.
// A value that refers to the instance.
class InstanceReader {
 public:
  explicit InstanceReader(const Instance& instance) : instance_(instance) {}

  bool ok() const { return error_.empty(); }
  const std::string& error() const { return error_; }
  void Fail(std::string error) {
    if (error_.empty()) error_ = std::move(error);
  }

  int Int(const std::string& name, int lo, int hi);  // lo where it fails
  std::string Text(const std::string& name);
  // Between `least` and `most` numbers from lo to hi; `least` times lo where it fails.
  std::vector<int> Ints(const std::string& name, size_t least, size_t most, int lo, int hi);
  std::vector<int> Ints(const std::string& name, size_t count, int lo, int hi) {
    return Ints(name, count, count, lo, hi);
  }
  std::vector<std::string> Texts(const std::string& name, size_t least, size_t most);
  bool Has(const std::string& name) const { return instance_.Find(name) != nullptr; }

 private:
  const Instance& instance_;
  std::string error_;
};

}  // namespace ponder::data::puzzle
