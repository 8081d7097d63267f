// Statements, variables and calls.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "data/jinja/run.h"

namespace ponder::data::jinja {
namespace {

constexpr int64_t kMaxSteps = 20'000'000;
constexpr int64_t kBytesAStep = 16;
constexpr size_t kMaxText = 64 << 20;
constexpr int kMaxListDepth = 200;  // of lists in lists

std::string ObjectName(const Value& object) {
  if (object.is(Value::Kind::kNone)) return "None";
  return absl::StrCat(object.TypeName(), " object");
}

}  // namespace

Run::Run(absl::Time now)
    : now_(now), scopes_{std::make_shared<Scope>(), std::make_shared<Scope>()} {
  AddGlobals(this);
}

std::string Run::Render(const Nodes& nodes) {
  Exec(nodes);
  return std::move(output_);
}

Value Run::Fail(std::string message) {
  if (!failed_) {
    failed_ = true;
    error_.message = std::move(message);
    if (statement_ != nullptr) {
      error_.line = statement_->line;
      error_.source = statement_->source;
    }
  }
  return Value();
}

bool Run::Charge(size_t bytes) {
  steps_ += 1 + static_cast<int64_t>(bytes) / kBytesAStep;
  if (steps_ > kMaxSteps || bytes > kMaxText) Fail("the template does too much");
  return ok();
}

Value Run::Text(std::string text) {
  return Charge(text.size()) ? Value::String(std::move(text)) : Value();
}

Value Run::Items(List items) {
  if (!Charge(items.size() * sizeof(Value))) return Value();
  Value list = Value::MakeList(std::move(items));
  return list.depth > kMaxListDepth ? Fail("lists nest too deep") : list;
}

bool Run::MayBeHeld(const Value& value) {
  if (value.is(Value::Kind::kNamespace)) Fail("a namespace or loop can't be put into a value");
  if (value.depth > kMaxListDepth) Fail("lists nest too deep");
  return ok();
}

// --- statements ---

void Run::Exec(const Nodes& nodes) {
  if (++depth_ > kMaxCallDepth) Fail("blocks or calls nest too deep");
  for (const NodePtr& node : nodes) {
    if (!ok() || signal_ != Signal::kNone) break;
    Exec(*node);
  }
  --depth_;
}

void Run::Exec(const Node& node) {
  if (!Charge(0)) return;
  if (node.kind != Node::Kind::kText) statement_ = &node;
  switch (node.kind) {
    case Node::Kind::kText:
      if (Charge(output_.size() + node.text.size() > kMaxText ? kMaxText + 1 : node.text.size()))
        output_ += node.text;
      return;
    case Node::Kind::kOutput: {
      const std::string text = Eval(*node.parts[0]).Str();
      if (Charge(output_.size() + text.size() > kMaxText ? kMaxText + 1 : text.size()))
        output_ += text;
      return;
    }
    case Node::Kind::kIf:
      return Exec(Eval(*node.parts[0]).Truthy() ? node.body : node.other);
    case Node::Kind::kFor:
      return For(node);
    case Node::Kind::kSet:
      return Assign(*node.parts[0], Eval(*node.parts[1]));
    case Node::Kind::kSetBlock:
      return Assign(*node.parts[0], Filtered(*node.parts[1], Text(Capture(node.body))));
    case Node::Kind::kFilterBlock:
      output_ += Filtered(*node.parts[0], Text(Capture(node.body))).Str();
      return;
    case Node::Kind::kMacro: {
      Value macro = Macro(node);
      (*scopes_.back())[node.text] = std::move(macro);
      return;
    }
    case Node::Kind::kCallBlock:
      output_ += CallBlock(node).Str();
      return;
    case Node::Kind::kBreak:
      signal_ = Signal::kBreak;
      return;
    case Node::Kind::kContinue:
      signal_ = Signal::kContinue;
      return;
    case Node::Kind::kScope: {
      auto scope = std::make_shared<Scope>();
      for (size_t i = 0; i < node.names.size(); ++i) (*scope)[node.names[i]] = Eval(*node.parts[i]);
      scopes_.push_back(std::move(scope));
      Exec(node.body);
      scopes_.pop_back();
      return;
    }
    default:
      Fail("this is no statement");
  }
}

std::string Run::Capture(const Nodes& nodes) {
  std::string outside = std::exchange(output_, "");
  const Node* statement = statement_;
  auto scopes = scopes_.size();
  scopes_.push_back(std::make_shared<Scope>());
  Exec(nodes);
  scopes_.resize(scopes);
  statement_ = statement;
  return std::exchange(output_, std::move(outside));
}

Value Run::Filtered(const Node& filters, const Value& text) {
  if (filters.kind != Node::Kind::kFilter || !ok()) return text;
  const Value operand = Filtered(*filters.parts[0], text);
  const Arguments arguments = EvalArguments(filters, 1);
  return ok() ? ApplyFilter(*this, filters.text, operand, arguments) : Value();
}

void Run::Assign(const Node& target, const Value& value) {
  if (!ok()) return;
  if (target.kind == Node::Kind::kName) {
    (*scopes_.back())[target.text] = value;
  } else if (target.kind == Node::Kind::kAttribute) {
    const Value object = Lookup(target.parts[0]->text);
    if (!object.is(Value::Kind::kNamespace)) {
      Fail("cannot assign attribute on non-namespace object");
      return;
    }
    if (!MayBeHeld(value)) return;
    for (auto& [name, held] : *object.dict) {
      if (name.string() != target.text) continue;
      held = value;
      return;
    }
    object.dict->emplace_back(Value::String(target.text), value);
  } else {
    if (!value.is_sequence() && !value.is_string() && !value.is(Value::Kind::kDict)) {
      Fail(absl::StrCat("cannot unpack non-iterable ", value.TypeName(), " object"));
      return;
    }
    const std::vector<Value> items = Iterate(value);
    const size_t count = target.parts.size();
    if (items.size() > count) {
      Fail(absl::StrCat("too many values to unpack (expected ", count, ")"));
    } else if (items.size() < count) {
      Fail(absl::StrCat("not enough values to unpack (expected ", count, ", got ", items.size(),
                        ")"));
    }
    for (size_t i = 0; i < count && ok(); ++i) Assign(*target.parts[i], items[i]);
  }
}

// --- expressions ---

Value Run::Lookup(const std::string& name) {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    const auto found = (*scope)->find(name);
    if (found != (*scope)->end()) return found->second;
  }
  return Value::Undefined(absl::StrCat(StringRepr(name), " is undefined"));
}

Value Run::Eval(const Node& node) {
  if (!Charge(0)) return Value();
  if (node.kind == Node::Kind::kConstant) return node.constant;
  if (node.kind == Node::Kind::kName) return Lookup(node.text);
  if (++depth_ > 10 * kMaxCallDepth) Fail("the expression nests too deep");
  Value value = ok() ? EvalOperation(node) : Value();
  --depth_;
  return value;
}

Value Run::EvalOperation(const Node& node) {
  const auto part = [&](size_t i) { return Eval(*node.parts[i]); };
  switch (node.kind) {
    case Node::Kind::kList:
    case Node::Kind::kTuple: {
      List items;
      for (const NodePtr& item : node.parts) {
        items.push_back(Eval(*item));
        if (!MayBeHeld(items.back())) return Value();
      }
      return Value::MakeList(std::move(items), node.kind == Node::Kind::kList
                                                   ? Value::Kind::kList
                                                   : Value::Kind::kTuple);
    }
    case Node::Kind::kDict: {
      Dict entries;
      for (size_t i = 0; i < node.parts.size(); i += 2) {
        Value key = part(i), value = part(i + 1);
        if (!MayBeHeld(key) || !MayBeHeld(value) || !Charge(8 * entries.size())) return Value();
        Put(&entries, std::move(key), std::move(value));
      }
      return Value::MakeDict(std::move(entries));
    }
    case Node::Kind::kUnary: {
      const Value operand = part(0);
      if (node.text == "not") return Value::Bool(!operand.Truthy());
      if (operand.is(Value::Kind::kUndefined)) return Fail(operand.text ? *operand.text : "");
      if (node.text == "+" && operand.is_number()) return operand;
      return Binary(*this, "-", Value::Int(0), operand);
    }
    case Node::Kind::kBinary: {
      const Value left = part(0);
      return Binary(*this, node.text, left, part(1));
    }
    case Node::Kind::kAnd: {
      const Value left = part(0);
      return left.Truthy() ? part(1) : left;
    }
    case Node::Kind::kOr: {
      const Value left = part(0);
      return left.Truthy() ? left : part(1);
    }
    case Node::Kind::kCompare:
      return Compare(node);
    case Node::Kind::kCondition:
      if (part(1).Truthy()) return part(0);
      if (node.parts[2] != nullptr) return part(2);
      return Value::Undefined(
          "the inline if-expression evaluated to false and no else section was defined.");
    case Node::Kind::kAttribute:
      return Attribute(part(0), node.text);
    case Node::Kind::kItem: {
      const Value object = part(0);
      return Item(object, part(1));
    }
    case Node::Kind::kSlice:
      return Slice(node);
    case Node::Kind::kCall: {
      const Value function = part(0);
      return Call(function, EvalArguments(node, 1));
    }
    case Node::Kind::kFilter: {
      const Value operand = part(0);
      const Arguments arguments = EvalArguments(node, 1);
      return ok() ? ApplyFilter(*this, node.text, operand, arguments) : Value();
    }
    case Node::Kind::kTest: {
      const Value operand = part(0);
      const Arguments arguments = EvalArguments(node, 1);
      return Value::Bool(ok() && ApplyTest(*this, node.text, operand, arguments));
    }
    default:
      return Fail("this is no expression");
  }
}

Value Run::Compare(const Node& node) {
  Value left = Eval(*node.parts[0]);
  for (size_t i = 0; i < node.names.size() && ok(); ++i) {
    Value right = Eval(*node.parts[i + 1]);
    if (!ok() || !Holds(*this, node.names[i], left, right)) return Value::Bool(false);
    left = std::move(right);
  }
  return Value::Bool(true);
}

Value Run::Slice(const Node& node) {
  std::vector<Value> bounds;
  for (size_t i = 1; i < 4; ++i)
    bounds.push_back(node.parts[i] == nullptr ? Value::None() : Eval(*node.parts[i]));
  const Value object = Eval(*node.parts[0]);
  return ok() ? SliceOf(*this, object, bounds[0], bounds[1], bounds[2]) : Value();
}

Arguments Run::EvalArguments(const Node& node, size_t first) {
  Arguments arguments;
  const size_t positional = node.parts.size() - node.names.size();
  for (size_t i = first; i < node.parts.size() && ok(); ++i) {
    if (i < positional) {
      arguments.values.push_back(Eval(*node.parts[i]));
      continue;
    }
    const std::string& name = node.names[i - positional];
    const Value value = Eval(*node.parts[i]);
    if (name == "*") {
      for (Value& item : Iterate(value)) arguments.values.push_back(std::move(item));
    } else if (name != "**") {
      arguments.named.emplace_back(name, value);
    } else if (!value.is(Value::Kind::kDict)) {
      Fail(absl::StrCat("argument after ** must be a mapping, not ", value.TypeName()));
    } else {
      for (const auto& [key, item] : *value.dict) arguments.named.emplace_back(key.Str(), item);
    }
  }
  return arguments;
}

Value Run::Call(const Value& function, const Arguments& arguments) {
  if (!ok()) return Value();
  if (function.is(Value::Kind::kUndefined)) return Fail(function.text ? *function.text : "");
  if (function.function == nullptr)
    return Fail(absl::StrCat("'", function.TypeName(), "' object is not callable"));
  return (*function.function)(*this, arguments);
}

std::vector<Value> Run::Iterate(const Value& value) {
  switch (value.kind) {
    case Value::Kind::kUndefined:
      return {};
    case Value::Kind::kList:
    case Value::Kind::kTuple:
      Charge(value.list->size() * sizeof(Value));
      return *value.list;
    case Value::Kind::kDict: {
      List keys;
      for (const auto& entry : *value.dict) keys.push_back(entry.first);
      return keys;
    }
    case Value::Kind::kString: {
      List characters;
      for (const char32_t c : Characters(value.string()))
        characters.push_back(Text(Utf8(std::u32string_view(&c, 1))));
      return characters;
    }
    default:
      Fail(absl::StrCat("'", value.TypeName(), "' object is not iterable"));
      return {};
  }
}

Value Run::Attribute(const Value& object, const std::string& name) {
  if (!ok()) return Value();
  if (object.is(Value::Kind::kUndefined)) return Fail(object.text ? *object.text : "");
  if (!object.is(Value::Kind::kNamespace)) {
    Value method = MethodOf(*this, object, name);
    if (!ok() || method.is(Value::Kind::kFunction)) return method;
  }
  if (object.dict != nullptr) {
    if (const Value* found = object.Find(name)) return *found;
  }
  return Value::Undefined(
      absl::StrCat(StringRepr(ObjectName(object)), " has no attribute ", StringRepr(name)));
}

Value Run::Item(const Value& object, const Value& index) {
  if (!ok()) return Value();
  if (object.is(Value::Kind::kUndefined)) return Fail(object.text ? *object.text : "");
  if (object.is(Value::Kind::kDict)) {
    Charge(8 * object.dict->size());
    if (const Value* found = object.Find(index)) return *found;
  } else if (index.is_whole() && (object.is_sequence() || object.is_string())) {
    const std::u32string characters = object.is_string() ? Characters(object.string()) : U"";
    if (object.is_string()) Charge(object.string().size());
    const auto size =
        static_cast<int64_t>(object.is_string() ? characters.size() : object.list->size());
    const int64_t at = index.integer < 0 ? index.integer + size : index.integer;
    if (at >= 0 && at < size) {
      return object.is_string()
                 ? Value::String(Utf8(std::u32string_view(&characters[static_cast<size_t>(at)], 1)))
                 : (*object.list)[static_cast<size_t>(at)];
    }
  }
  if (index.is_string()) return Attribute(object, index.string());
  return Value::Undefined(absl::StrCat(ObjectName(object), " has no element ", index.Repr()));
}

}  // namespace ponder::data::jinja
