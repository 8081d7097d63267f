// Value: what a variable of a template holds, with Python's meaning of equality, truth, order and
// text. A value; copies share what they hold, and nothing of it changes but a namespace.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder::data::jinja {

class Run;
struct Arguments;
struct Value;

using List = std::vector<Value>;
using Dict = std::vector<std::pair<Value, Value>>;  // in the order of insertion
using Function = std::function<Value(Run&, const Arguments&)>;

struct Value {
  enum class Kind {
    kUndefined,
    kNone,
    kBool,
    kInt,
    kFloat,
    kString,
    kList,
    kTuple,
    kDict,
    kNamespace,
    kFunction
  };
  Kind kind = Kind::kUndefined;
  int64_t integer = 0;                      // kBool, kInt
  double real = 0;                          // kFloat
  std::shared_ptr<const std::string> text;  // kString; kUndefined: what is undefined, as a message
  std::shared_ptr<const List> list;         // kList, kTuple
  std::shared_ptr<Dict> dict;               // kDict, kNamespace
  std::shared_ptr<const Function> function;
  int depth = 0;  // of lists in lists

  static Value Undefined(std::string message);
  static Value None();
  static Value Bool(bool value);
  static Value Int(int64_t value);
  static Value Float(double value);
  static Value String(std::string text);
  static Value MakeList(List items, Kind kind = Kind::kList);
  static Value MakeDict(Dict entries);
  static Value MakeFunction(Function function);

  bool is(Kind k) const { return kind == k; }
  bool is_string() const { return kind == Kind::kString; }
  bool is_sequence() const { return kind == Kind::kList || kind == Kind::kTuple; }
  bool is_number() const { return is_whole() || kind == Kind::kFloat; }
  bool is_whole() const { return kind == Kind::kBool || kind == Kind::kInt; }
  double number() const { return kind == Kind::kFloat ? real : static_cast<double>(integer); }
  const std::string& string() const { return *text; }
  // Of a dict or namespace; null: no such key.
  const Value* Find(const Value& key) const;
  const Value* Find(absl::string_view key) const;

  bool Truthy() const;
  std::string Str() const;       // Python's str(); undefined: nothing
  std::string Repr() const;      // Python's repr()
  const char* TypeName() const;  // Python's: "str", "NoneType", ...
  bool operator==(const Value& other) const;
};

// Adds an entry, or replaces the value of the key that is there.
void Put(Dict* entries, Value key, Value value);

// Named arguments come after the others.
struct Arguments {
  List values;
  std::vector<std::pair<std::string, Value>> named;

  // The one at `index`, or named so; null: not given.
  const Value* Get(size_t index, absl::string_view name) const;
};

// Python's repr of a float and of a string.
std::string FloatRepr(double value);
std::string StringRepr(absl::string_view text);

// As Python's json.dumps writes it. `indent` < 0: on one line.
struct JsonStyle {
  int indent = -1;
  std::string item_separator, key_separator;  // empty: Python's defaults
  bool ensure_ascii = false;
  bool sort_keys = false;
};
// False: there is something in it that JSON has no word for; `problem` says what.
bool ToJson(const Value& value, const JsonStyle& style, std::string* json, std::string* problem);

// Characters of valid UTF-8.
std::u32string Characters(absl::string_view text);
std::string Utf8(std::u32string_view characters);
int64_t CountCharacters(absl::string_view text);

}  // namespace ponder::data::jinja
