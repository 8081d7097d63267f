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
  // False, after Fail: a namespace can hold others, so nothing may hold it.
  bool MayBeHeld(const Value& value);
  std::vector<Value> Iterate(const Value& value);
  Value Attribute(const Value& object, const std::string& name);
  Value Item(const Value& object, const Value& index);
  Value Call(const Value& function, const Arguments& arguments);

 private:
  using Scope = std::map<std::string, Value, std::less<>>;
  enum class Signal { kNone, kBreak, kContinue };
  static constexpr int kMaxCallDepth = 150;  // of evaluations: macros that call themselves

  void Exec(const Nodes& nodes);
  void Exec(const Node& node);
  void For(const Node& node);
  void Loop(const Node& node, const Value& iterated, int depth);
  Value LoopAgain(const Node& node, int depth);
  Value Macro(const Node& node);
  // Binds a macro's parameters in the innermost scope. False, after Fail.
  bool Bind(const Node& node, const Arguments& arguments);
  Value CallBlock(const Node& node);
  std::string Capture(const Nodes& nodes);
  void Assign(const Node& target, const Value& value);
  // The filters of a block's tag, applied to its text.
  Value Filtered(const Node& filters, const Value& text);
  // `function`, run where it was written: with the scopes of now, not with its caller's.
  Value Closure(std::function<Value(Run&, const Arguments&)> function);

  Value Eval(const Node& node);
  Value EvalOperation(const Node& node);
  Value Compare(const Node& node);
  Value Slice(const Node& node);
  Value Lookup(const std::string& name);
  Arguments EvalArguments(const Node& node, size_t first);
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
// namespace, range, dict, cycler, joiner, raise_exception, strftime_now.
void AddGlobals(Run* run);

// format.cc: Python's text.format(...) and text % values.
Value FormatBraces(Run& run, const std::string& text, const Arguments& arguments);
Value FormatPercent(Run& run, const std::string& text, const Value& values);

}  // namespace ponder::data::jinja
