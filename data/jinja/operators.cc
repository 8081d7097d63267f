// What Python makes of + - * / // % ** ~, of comparisons, and of slices.
#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "data/jinja/run.h"

namespace ponder::data::jinja {
namespace {

using Kind = Value::Kind;

Value NotSupported(Run& run, const std::string& op, const Value& left, const Value& right) {
  if (op == "+" && left.is_string()) {
    return run.Fail(
        absl::StrCat("can only concatenate str (not \"", right.TypeName(), "\") to str"));
  }
  if (op == "+" && left.is_sequence()) {
    return run.Fail(absl::StrCat("can only concatenate ", left.TypeName(), " (not \"",
                                 right.TypeName(), "\") to ", left.TypeName()));
  }
  return run.Fail(absl::StrCat("unsupported operand type(s) for ", op == "**" ? "** or pow()" : op,
                               ": '", left.TypeName(), "' and '", right.TypeName(), "'"));
}

Value Whole(Run& run, const std::string& op, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflow = false;
  if (op == "+") {
    overflow = __builtin_add_overflow(left, right, &result);
  } else if (op == "-") {
    overflow = __builtin_sub_overflow(left, right, &result);
  } else if (op == "*") {
    overflow = __builtin_mul_overflow(left, right, &result);
  } else if (op == "**") {
    if (right < 0) return Value::Float(std::pow(left, right));
    result = 1;
    for (int64_t i = 0; i < right && !overflow; ++i) {
      if (!run.Charge(0)) return Value();
      overflow = __builtin_mul_overflow(result, left, &result);
    }
  } else {  // // and %
    if (right == 0) {
      return run.Fail(op == "//" ? "integer division or modulo by zero" : "integer modulo by zero");
    }
    if (right == -1) {  // the one quotient that overflows
      overflow = op == "//" && __builtin_sub_overflow(0, left, &result);
    } else {
      const int64_t remainder = left % right;
      const bool down = remainder != 0 && (remainder < 0) != (right < 0);
      result = op == "//" ? left / right - (down ? 1 : 0) : remainder + (down ? right : 0);
    }
  }
  return overflow ? run.Fail("the number is too large") : Value::Int(result);
}

Value Real(Run& run, const std::string& op, double left, double right) {
  if (op == "+") return Value::Float(left + right);
  if (op == "-") return Value::Float(left - right);
  if (op == "*") return Value::Float(left * right);
  if (op == "**") return Value::Float(std::pow(left, right));
  if (right == 0) {
    return run.Fail(op == "/"    ? "float division by zero"
                    : op == "//" ? "float floor division by zero"
                                 : "float modulo");
  }
  if (op == "/") return Value::Float(left / right);
  const double floor = std::floor(left / right);
  return Value::Float(op == "//" ? floor : left - floor * right);
}

Value Repeat(Run& run, const Value& value, int64_t times) {
  times = std::max<int64_t>(times, 0);
  const size_t size =
      value.is_string() ? value.string().size() : value.list->size() * sizeof(Value);
  if (size == 0) times = 0;
  if (size > 0 && times > (1 << 30)) return run.Fail("the template does too much");
  if (!run.Charge(size * static_cast<size_t>(times))) return Value();
  if (value.is_string()) {
    std::string text;
    for (int64_t i = 0; i < times; ++i) text += value.string();
    return Value::String(std::move(text));
  }
  List items;
  for (int64_t i = 0; i < times; ++i)
    items.insert(items.end(), value.list->begin(), value.list->end());
  return Value::MakeList(std::move(items), value.kind);
}

bool Less(Run& run, const std::string& op, const Value& left, const Value& right) {
  if (!run.Charge(0)) return false;
  if (left.is_whole() && right.is_whole()) return left.integer < right.integer;
  if (left.is_number() && right.is_number()) return left.number() < right.number();
  if (left.is_string() && right.is_string()) return left.string() < right.string();
  if (left.is_sequence() && left.kind == right.kind) {
    for (size_t i = 0; i < std::min(left.list->size(), right.list->size()); ++i) {
      const Value &a = (*left.list)[i], &b = (*right.list)[i];
      if (!(a == b)) return Less(run, op, a, b);
    }
    return left.list->size() < right.list->size();
  }
  for (const Value* side : {&left, &right}) {
    if (!side->is(Kind::kUndefined)) continue;
    run.Fail(side->text ? *side->text : "");
    return false;
  }
  run.Fail(absl::StrCat("'", op, "' not supported between instances of '", left.TypeName(),
                        "' and '", right.TypeName(), "'"));
  return false;
}

bool Contains(Run& run, const Value& container, const Value& item) {
  switch (container.kind) {
    case Kind::kUndefined:
      return false;
    case Kind::kString:
      if (item.is_string()) return absl::StrContains(container.string(), item.string());
      run.Fail(
          absl::StrCat("'in <string>' requires string as left operand, not ", item.TypeName()));
      return false;
    case Kind::kList:
    case Kind::kTuple:
      run.Charge(8 * container.list->size());
      return std::find(container.list->begin(), container.list->end(), item) !=
             container.list->end();
    case Kind::kDict:
      run.Charge(8 * container.dict->size());
      return container.Find(item) != nullptr;
    default:
      run.Fail(absl::StrCat("argument of type '", container.TypeName(), "' is not iterable"));
      return false;
  }
}

}  // namespace

Value Binary(Run& run, const std::string& op, const Value& left, const Value& right) {
  if (!run.ok()) return Value();
  if (op == "~") return run.Text(left.Str() + right.Str());
  for (const Value* side : {&left, &right}) {
    if (side->is(Kind::kUndefined)) return run.Fail(side->text ? *side->text : "");
  }
  if (left.is_number() && right.is_number()) {
    if (op == "/" && right.number() == 0 && left.is_whole() && right.is_whole())
      return run.Fail("division by zero");
    return left.is_whole() && right.is_whole() && op != "/"
               ? Whole(run, op, left.integer, right.integer)
               : Real(run, op, left.number(), right.number());
  }
  if (op == "%" && left.is_string()) return FormatPercent(run, left.string(), right);
  if (op == "+" && left.is_string() && right.is_string())
    return run.Text(left.string() + right.string());
  if (op == "+" && left.is_sequence() && left.kind == right.kind) {
    List items = *left.list;
    items.insert(items.end(), right.list->begin(), right.list->end());
    if (!run.Charge(items.size() * sizeof(Value))) return Value();
    return Value::MakeList(std::move(items), left.kind);
  }
  if (op == "*" && right.is_whole() && (left.is_string() || left.is_sequence()))
    return Repeat(run, left, right.integer);
  if (op == "*" && left.is_whole() && (right.is_string() || right.is_sequence()))
    return Repeat(run, right, left.integer);
  return NotSupported(run, op, left, right);
}

bool Holds(Run& run, const std::string& op, const Value& left, const Value& right) {
  if (op == "==") return left == right;
  if (op == "!=") return !(left == right);
  if (op == "<") return Less(run, op, left, right);
  if (op == ">") return Less(run, op, right, left);
  if (op == "<=") return left == right || Less(run, op, left, right);
  if (op == ">=") return left == right || Less(run, op, right, left);
  const bool contains = Contains(run, right, left);
  return contains == (op == "in");
}

Value SliceOf(Run& run, const Value& object, const Value& start, const Value& stop,
              const Value& step) {
  if (object.is(Kind::kUndefined)) return run.Fail(object.text ? *object.text : "");
  if (!object.is_string() && !object.is_sequence())
    return run.Fail(absl::StrCat("'", object.TypeName(), "' object is not subscriptable"));
  for (const Value* bound : {&start, &stop, &step}) {
    if (!bound->is(Kind::kNone) && !bound->is_whole())
      return run.Fail("slice indices must be integers or None or have an __index__ method");
  }
  if (object.is_string() && !run.Charge(4 * object.string().size())) return Value();
  const std::u32string characters = object.is_string() ? Characters(object.string()) : U"";
  const auto size =
      static_cast<int64_t>(object.is_string() ? characters.size() : object.list->size());
  const int64_t stride = step.is(Kind::kNone) ? 1 : step.integer;
  if (stride == 0) return run.Fail("slice step cannot be zero");
  const int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? size : size - 1;
  const auto clamp = [&](const Value& bound, int64_t absent) {
    if (bound.is(Kind::kNone)) return absent;
    const int64_t at = bound.integer < 0 ? bound.integer + size : bound.integer;
    return std::clamp(at, low, high);
  };
  const int64_t first = clamp(start, stride > 0 ? low : high);
  const int64_t last = clamp(stop, stride > 0 ? high : low);
  std::u32string text;
  List items;
  for (int64_t i = first; stride > 0 ? i < last : i > last;) {
    if (object.is_string()) {
      text.push_back(characters[static_cast<size_t>(i)]);
    } else {
      items.push_back((*object.list)[static_cast<size_t>(i)]);
    }
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
  if (object.is_string()) return run.Text(Utf8(text));
  return run.Charge(items.size() * sizeof(Value)) ? Value::MakeList(std::move(items), object.kind)
                                                  : Value();
}

}  // namespace ponder::data::jinja
