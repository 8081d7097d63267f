// What stands behind "is".
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "data/jinja/run.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data::jinja {

bool ApplyTest(Run& run, const std::string& name, const Value& value, const Arguments& arguments) {
  using Kind = Value::Kind;
  if (name == "defined") return !value.is(Kind::kUndefined);
  if (name == "undefined") return value.is(Kind::kUndefined);
  if (name == "none") return value.is(Kind::kNone);
  if (name == "string") return value.is_string();
  if (name == "mapping") return value.is(Kind::kDict);
  if (name == "boolean") return value.is(Kind::kBool);
  if (name == "true") return value.is(Kind::kBool) && value.integer != 0;
  if (name == "false") return value.is(Kind::kBool) && value.integer == 0;
  if (name == "integer") return value.is(Kind::kInt);
  if (name == "float") return value.is(Kind::kFloat);
  if (name == "number") return value.is_number();
  if (name == "callable") return value.is(Kind::kFunction);
  // An undefined value iterates over nothing and has the length 0.
  if (name == "sequence" || name == "iterable") {
    return value.is_string() || value.is_sequence() || value.is(Kind::kDict) ||
           value.is(Kind::kUndefined);
  }
  if (name == "lower" || name == "upper") {
    const std::string text = value.Str();
    const std::string lower = LowerCase(text), upper = UpperCase(text);
    return lower != upper && text == (name == "lower" ? lower : upper);
  }
  if (name == "odd" || name == "even" || name == "divisibleby") {
    const Value* given = arguments.Get(0, "num");
    if (name == "divisibleby" && given == nullptr) {
      run.Fail("the test 'divisibleby' needs a number");
      return false;
    }
    const Value remainder = Binary(run, "%", value, name == "divisibleby" ? *given : Value::Int(2));
    return run.ok() && remainder.number() == (name == "odd" ? 1 : 0);
  }
  const std::pair<const char*, const char*> comparisons[] = {
      {"eq", "=="}, {"equalto", "=="},    {"==", "=="}, {"ne", "!="}, {"!=", "!="},
      {"lt", "<"},  {"lessthan", "<"},    {"<", "<"},   {"le", "<="}, {"<=", "<="},
      {"gt", ">"},  {"greaterthan", ">"}, {">", ">"},   {"ge", ">="}, {">=", ">="},
      {"in", "in"}, {"sameas", "=="}};
  for (const auto& [test, op] : comparisons) {
    if (name != test) continue;
    const Value* other = arguments.Get(0, "other");
    if (other == nullptr) {
      run.Fail(absl::StrCat("the test '", name, "' needs something to compare with"));
      return false;
    }
    if (name == "sameas" && value.kind != other->kind) return false;
    return Holds(run, op, value, *other);
  }
  run.Fail(absl::StrCat("No test named ", StringRepr(name), "."));
  return false;
}

}  // namespace ponder::data::jinja
