// Run: one rendering of a template. A machine, for one thread, one time.
//
// The first error stays: after it every operation returns at once and undefined. Steps, output and
// depth are bounded, so that any template ends.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "data/jinja/syntax.h"
#include "data/jinja/value.h"

namespace ponder::data::jinja {

class Run {
 public:
  // `now` is what strftime_now tells.
  explicit Run(absl::Time now);

  void SetGlobal(const std::string& name, Value value) { (*scopes_[0])[name] = std::move(value); }
  // The text; read it if ok().
  std::string Render(const Nodes& nodes);

  bool ok() const { return !failed_; }
  const SyntaxError& error() const { return error_; }
  absl::Time now() const { return now_; }

  // For what is called while rendering. Fail returns undefined.
  Value Fail(std::string message);
  // `bytes` are about to be made; false: that is too much.
  bool Charge(size_t bytes);
  Value Text(std::string text);  // charged
  Value Items(List items);       // charged
  std::vector<Value> Iterate(const Value& value);
  Value Attribute(const Value& object, const std::string& name);
  Value Item(const Value& object, const Value& index);
  Value Call(const Value& function, const Arguments& arguments);

 private:
  using Scope = std::map<std::string, Value, std::less<>>;
  enum class Signal { kNone, kBreak, kContinue };

  void Exec(const Nodes& nodes);
  void Exec(const Node& node);
  void For(const Node& node);
  void Macro(const Node& node);
  std::string Capture(const Nodes& nodes);
  void Assign(const Node& target, const Value& value);
  Value WithFilters(const Node& node, Value value);

  Value Eval(const Node& node);
  Value EvalOperation(const Node& node);
  Value Compare(const Node& node);
  Value Slice(const Node& node);
  Value Lookup(const std::string& name);
  Arguments EvalArguments(const Node& node, size_t first);
  // False, after Fail: a namespace can hold others, so nothing may hold it.
  bool MayBeHeld(const Value& value);

  const absl::Time now_;
  std::vector<std::shared_ptr<Scope>> scopes_;  // globals, the template's own, then the inner ones
  std::string output_;
  Signal signal_ = Signal::kNone;
  bool failed_ = false;
  SyntaxError error_;
  const Node* statement_ = nullptr;  // the one being run
  int64_t steps_ = 0;
  int depth_ = 0;
};

// Operators.
Value Binary(Run& run, const std::string& op, const Value& left, const Value& right);
// op: "==", "!=", "<", ">", "<=", ">=", "in" or "not in".
bool Holds(Run& run, const std::string& op, const Value& left, const Value& right);
// Python's slice of a sequence or string.
Value SliceOf(Run& run, const Value& object, const Value& start, const Value& stop,
              const Value& step);

// Filters, tests and methods by name; each fails if there is none such.
Value ApplyFilter(Run& run, const std::string& name, const Value& value,
                  const Arguments& arguments);
bool ApplyTest(Run& run, const std::string& name, const Value& value, const Arguments& arguments);
// Undefined: the object has no such method.
Value MethodOf(Run& run, const Value& object, const std::string& name);
// namespace, range, dict, raise_exception, strftime_now.
void AddGlobals(Run* run);

}  // namespace ponder::data::jinja
