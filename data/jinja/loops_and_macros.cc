// What a template runs more than once: the bodies of loops, and macros with what calls them.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "data/jinja/run.h"

namespace ponder::data::jinja {
namespace {

// `last`: what loop.changed was asked about last.
Value LoopVariable(const std::vector<Value>& items, size_t i, int depth,
                   const std::shared_ptr<std::optional<List>>& last) {
  const auto index = static_cast<int64_t>(i);
  const auto length = static_cast<int64_t>(items.size());
  Dict entries;
  const auto add = [&](const char* name, Value value) {
    entries.emplace_back(Value::String(name), std::move(value));
  };
  add("index", Value::Int(index + 1));
  add("index0", Value::Int(index));
  add("first", Value::Bool(i == 0));
  add("last", Value::Bool(index + 1 == length));
  add("length", Value::Int(length));
  add("revindex", Value::Int(length - index));
  add("revindex0", Value::Int(length - index - 1));
  add("depth", Value::Int(depth));
  add("depth0", Value::Int(depth - 1));
  add("previtem", i > 0 ? items[i - 1] : Value::Undefined("there is no previous item"));
  add("nextitem", i + 1 < items.size() ? items[i + 1] : Value::Undefined("there is no next item"));
  add("cycle", Value::MakeFunction([i](Run& run, const Arguments& arguments) {
        if (arguments.values.empty()) return run.Fail("no items for cycling given");
        return arguments.values[i % arguments.values.size()];
      }));
  add("changed", Value::MakeFunction([last](Run& run, const Arguments& arguments) {
        for (const Value& value : arguments.values)
          if (!run.MayBeHeld(value)) return Value();
        if (*last == arguments.values) return Value::Bool(false);
        *last = arguments.values;
        return Value::Bool(true);
      }));
  Value loop = Value::MakeDict(std::move(entries));
  loop.kind = Value::Kind::kNamespace;
  return loop;
}

}  // namespace

void Run::For(const Node& node) { Loop(node, Eval(*node.parts[1]), 1); }

void Run::Loop(const Node& node, const Value& iterated, int depth) {
  std::vector<Value> items = Iterate(iterated);
  if (node.parts[2] != nullptr) {
    std::vector<Value> chosen;
    scopes_.push_back(std::make_shared<Scope>());
    for (const Value& item : items) {
      if (!ok()) break;
      Assign(*node.parts[0], item);
      if (Eval(*node.parts[2]).Truthy()) chosen.push_back(item);
    }
    scopes_.pop_back();
    items = std::move(chosen);
  }
  if (!ok()) return;
  if (items.empty()) return Exec(node.other);
  const Value again = LoopAgain(node, depth);
  const auto last = std::make_shared<std::optional<List>>();
  for (size_t i = 0; i < items.size() && ok() && signal_ != Signal::kBreak; ++i) {
    signal_ = Signal::kNone;
    Value loop = LoopVariable(items, i, depth, last);
    loop.function = again.function;
    scopes_.push_back(std::make_shared<Scope>());
    (*scopes_.back())["loop"] = std::move(loop);
    statement_ = &node;
    Assign(*node.parts[0], items[i]);
    Exec(node.body);
    scopes_.pop_back();
  }
  signal_ = Signal::kNone;
}

// loop(items): the text of the same loop over other items.
Value Run::LoopAgain(const Node& node, int depth) {
  return Closure([&node, depth](Run& run, const Arguments& arguments) {
    if (node.text.empty()) {
      return run.Fail("The loop must have the 'recursive' marker to be called recursively.");
    }
    if (arguments.values.size() != 1) return run.Fail("loop() takes exactly one argument");
    std::string outside = std::exchange(run.output_, "");
    if (++run.depth_ > kMaxCallDepth) run.Fail("blocks or calls nest too deep");
    if (run.ok()) run.Loop(node, arguments.values[0], depth + 1);
    --run.depth_;
    return run.Text(std::exchange(run.output_, std::move(outside)));
  });
}

Value Run::Closure(std::function<Value(Run&, const Arguments&)> function) {
  // Weak, as the scope that holds the function is one of them.
  std::vector<std::weak_ptr<Scope>> written(scopes_.begin(), scopes_.end());
  return Value::MakeFunction([written = std::move(written), function = std::move(function)](
                                 Run& run, const Arguments& arguments) {
    std::vector<std::shared_ptr<Scope>> scopes;
    for (const std::weak_ptr<Scope>& weak : written) {
      scopes.push_back(weak.lock());
      if (scopes.back() == nullptr)
        return run.Fail("a macro is called outside of the block that it is written in");
    }
    scopes.push_back(std::make_shared<Scope>());
    scopes.swap(run.scopes_);
    const Node* caller = run.statement_;
    const Signal signal = std::exchange(run.signal_, Signal::kNone);
    Value made = function(run, arguments);
    run.scopes_ = std::move(scopes);
    run.statement_ = caller;
    run.signal_ = signal;
    return made;
  });
}

Value Run::Macro(const Node& node) {
  Value macro = Closure([&node](Run& run, const Arguments& arguments) {
    return run.Bind(node, arguments) ? run.Text(run.Capture(node.body)) : Value();
  });
  List parameters;
  for (size_t i = 0; i < node.parts.size(); ++i) parameters.push_back(Value::String(node.names[i]));
  macro.dict = std::make_shared<Dict>(Dict{
      {Value::String("name"), Value::String(node.text)},
      {Value::String("arguments"), Value::MakeList(std::move(parameters), Value::Kind::kTuple)}});
  return macro;
}

bool Run::Bind(const Node& node, const Arguments& arguments) {
  const size_t count = node.parts.size();
  Scope& scope = *scopes_.back();
  Dict named;
  for (const auto& [name, value] : arguments.named)
    if (std::find(node.names.begin(), node.names.begin() + static_cast<int64_t>(count), name) ==
        node.names.begin() + static_cast<int64_t>(count))
      named.emplace_back(Value::String(name), value);
  for (size_t i = 0; i < count && ok(); ++i) {
    const Value* given = arguments.Get(i, node.names[i]);
    scope[node.names[i]] =
        given != nullptr ? *given
        : node.parts[i] != nullptr
            ? Eval(*node.parts[i])
            : Value::Undefined(absl::StrCat("parameter '", node.names[i], "' was not provided"));
  }
  List rest;
  if (arguments.values.size() > count)
    rest.assign(arguments.values.begin() + static_cast<int64_t>(count), arguments.values.end());
  bool takes_rest = false, takes_named = false;
  for (size_t i = count; i < node.names.size(); ++i) {
    const std::string& special = node.names[i];
    if (special == "caller") {
      const auto given = std::find_if(named.begin(), named.end(), [](const auto& entry) {
        return entry.first.string() == "caller";
      });
      scope[special] = given != named.end() ? given->second : Value::Undefined("No caller defined");
      if (given != named.end()) named.erase(given);
    } else if (special == "varargs") {
      takes_rest = true;
      for (const Value& value : rest)
        if (!MayBeHeld(value)) return false;
      scope[special] = Value::MakeList(std::exchange(rest, {}), Value::Kind::kTuple);
    } else {
      takes_named = true;
      for (const auto& entry : named)
        if (!MayBeHeld(entry.second)) return false;
      scope[special] = Value::MakeDict(std::exchange(named, {}));
    }
  }
  if (!named.empty() && !takes_named) {
    Fail(absl::StrCat("macro ", StringRepr(node.text), " takes no keyword argument ",
                      named[0].first.Repr()));
  } else if (!rest.empty() && !takes_rest) {
    Fail(absl::StrCat("macro ", StringRepr(node.text), " takes not more than ", count,
                      " argument(s)"));
  }
  return ok();
}

Value Run::CallBlock(const Node& node) {
  const Node& call = *node.parts[0];
  const Value function = Eval(*call.parts[0]);
  Arguments arguments = EvalArguments(call, 1);
  arguments.named.emplace_back("caller", Macro(*node.parts[1]));
  return Call(function, arguments);
}

}  // namespace ponder::data::jinja
