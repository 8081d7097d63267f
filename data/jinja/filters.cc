// What stands behind "|".
#include <algorithm>
#include <cmath>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "data/jinja/run.h"
#include "data/jinja/text.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data::jinja {
namespace {

using Kind = Value::Kind;
using Filter = Value (*)(Run&, const Value&, const Arguments&);

bool Flag(const Arguments& arguments, size_t index, absl::string_view name) {
  const Value* value = arguments.Get(index, name);
  return value != nullptr && value->Truthy();
}

// "a.b.0": attribute after attribute.
Value Path(Run& run, const Value& object, const Value& path) {
  if (!path.is_string()) return run.Item(object, path);
  Value value = object;
  for (const absl::string_view part : absl::StrSplit(path.string(), '.')) {
    int64_t index = 0;
    value = absl::SimpleAtoi(part, &index) ? run.Item(value, Value::Int(index))
                                           : run.Item(value, Value::String(std::string(part)));
  }
  return value;
}

Value Length(Run& run, const Value& value, const Arguments&) {
  if (value.is(Kind::kUndefined)) return Value::Int(0);
  if (value.is_string()) return Value::Int(CountCharacters(value.string()));
  if (value.is_sequence()) return Value::Int(static_cast<int64_t>(value.list->size()));
  if (value.is(Kind::kDict)) return Value::Int(static_cast<int64_t>(value.dict->size()));
  return run.Fail(absl::StrCat("object of type '", value.TypeName(), "' has no len()"));
}

Value Default(Run& run, const Value& value, const Arguments& arguments) {
  const bool absent =
      value.is(Kind::kUndefined) || (Flag(arguments, 1, "boolean") && !value.Truthy());
  if (!absent) return value;
  const Value* other = arguments.Get(0, "default_value");
  return other != nullptr ? *other : Value::String("");
}

Value Tojson(Run& run, const Value& value, const Arguments& arguments) {
  JsonStyle style;
  const Value* ensure = arguments.Get(0, "ensure_ascii");
  style.ensure_ascii = ensure != nullptr && ensure->Truthy();
  if (const Value* indent = arguments.Get(1, "indent")) {
    if (indent->is_whole())
      style.indent = static_cast<int>(std::clamp<int64_t>(indent->integer, 0, 64));
  }
  if (const Value* separators = arguments.Get(2, "separators")) {
    if (separators->is_sequence() && separators->list->size() == 2) {
      style.item_separator = (*separators->list)[0].Str();
      style.key_separator = (*separators->list)[1].Str();
    }
  }
  style.sort_keys = Flag(arguments, 3, "sort_keys");
  std::string json, problem;
  if (!ToJson(value, style, &json, &problem)) return run.Fail(problem);
  return run.Text(std::move(json));
}

Value JoinFilter(Run& run, const Value& value, const Arguments& arguments) {
  const Value* separator = arguments.Get(0, "d");
  const Value* attribute = arguments.Get(1, "attribute");
  std::vector<std::string> parts;
  for (const Value& item : run.Iterate(value)) {
    parts.push_back((attribute != nullptr ? Path(run, item, *attribute) : item).Str());
    if (!run.Charge(parts.back().size())) return Value();
  }
  return run.Text(absl::StrJoin(parts, separator != nullptr ? separator->Str() : ""));
}

Value ReplaceFilter(Run& run, const Value& value, const Arguments& arguments) {
  const Value *from = arguments.Get(0, "old"), *to = arguments.Get(1, "new");
  const Value* count = arguments.Get(2, "count");
  if (from == nullptr || to == nullptr) return run.Fail("the filter 'replace' needs two texts");
  const std::string text = value.Str(), old = from->Str(), fresh = to->Str();
  if (!run.Charge((text.size() + 1) * (fresh.size() + 1) / std::max<size_t>(1, old.size())))
    return Value();
  const bool bounded = count != nullptr && count->is_whole();
  return run.Text(ReplaceText(text, old, fresh, bounded ? count->integer : -1));
}

Value Trim(Run& run, const Value& value, const Arguments& arguments) {
  const Value* set = arguments.Get(0, "chars");
  const bool given = set != nullptr && set->is_string();
  return run.Text(Strip(value.Str(), given ? set->text.get() : nullptr, true, true));
}

Value First(Run& run, const Value& value, const Arguments&) {
  const List items = run.Iterate(value);
  return items.empty() ? Value::Undefined("No first item, sequence was empty.") : items.front();
}

Value Last(Run& run, const Value& value, const Arguments&) {
  const List items = run.Iterate(value);
  return items.empty() ? Value::Undefined("No last item, sequence was empty.") : items.back();
}

Value ToItems(Run& run, const Value& value, const Arguments&) {
  if (value.is(Kind::kUndefined)) return Value::MakeList({});
  if (!value.is(Kind::kDict)) return run.Fail("Can only get item pairs from a mapping.");
  return run.Call(MethodOf(run, value, "items"), {});
}

Value ToInt(Run& run, const Value& value, const Arguments& arguments) {
  const Value* absent = arguments.Get(0, "default");
  if (value.is_whole()) return Value::Int(value.integer);
  double real = value.real;
  if (value.is_string()) {
    int64_t whole = 0;
    const std::string text = Strip(value.string(), nullptr, true, true);
    if (absl::SimpleAtoi(text, &whole)) return Value::Int(whole);
    if (!absl::SimpleAtod(text, &real)) return absent != nullptr ? *absent : Value::Int(0);
  } else if (!value.is(Kind::kFloat)) {
    return absent != nullptr ? *absent : Value::Int(0);
  }
  if (!(std::fabs(real) < 9e18)) return absent != nullptr ? *absent : Value::Int(0);
  return Value::Int(static_cast<int64_t>(real));
}

Value ToFloat(Run&, const Value& value, const Arguments& arguments) {
  const Value* absent = arguments.Get(0, "default");
  if (value.is_number()) return Value::Float(value.number());
  double real = 0;
  if (value.is_string() && absl::SimpleAtod(value.string(), &real)) return Value::Float(real);
  return absent != nullptr ? *absent : Value::Float(0);
}

Value Reverse(Run& run, const Value& value, const Arguments&) {
  if (value.is_string()) {
    std::u32string characters = Characters(value.string());
    std::reverse(characters.begin(), characters.end());
    return run.Text(Utf8(characters));
  }
  List items = run.Iterate(value);
  std::reverse(items.begin(), items.end());
  return run.Items(std::move(items));
}

Value Indent(Run& run, const Value& value, const Arguments& arguments) {
  const Value* width = arguments.Get(0, "width");
  std::string margin(4, ' ');
  if (width != nullptr && width->is_string()) margin = width->string();
  if (width != nullptr && width->is_whole())
    margin.assign(static_cast<size_t>(std::clamp<int64_t>(width->integer, 0, 1000)), ' ');
  const bool blank = Flag(arguments, 2, "blank");
  std::string text;
  bool first = true;
  for (const std::string& line : SplitLines(value.Str() + "\n", false)) {
    if (!first) text.push_back('\n');
    if ((first && Flag(arguments, 1, "first")) || (!first && (blank || !line.empty())))
      text += margin;
    text += line;
    first = false;
    if (!run.Charge(margin.size() + line.size())) return Value();
  }
  return run.Text(std::move(text));
}

// Lower case, unless `case_sensitive`: what sort, unique, min and max compare by.
Value SortKey(Run& run, const Value& item, const Value* attribute, bool case_sensitive) {
  Value key =
      attribute != nullptr && !attribute->is(Kind::kNone) ? Path(run, item, *attribute) : item;
  return key.is_string() && !case_sensitive ? Value::String(LowerCase(key.string())) : key;
}

List Sorted(Run& run, const List& items, const Value* attribute, bool case_sensitive,
            bool descending) {
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : items)
    keyed.emplace_back(SortKey(run, item, attribute, case_sensitive), item);
  // Insertion by binary search: the order stays defined where a comparison fails.
  List sorted, keys;
  for (auto& [key, item] : keyed) {
    size_t low = 0, high = keys.size();
    while (low < high && run.ok()) {
      const size_t middle = (low + high) / 2;
      const bool before =
          descending ? Holds(run, "<", keys[middle], key) : Holds(run, "<", key, keys[middle]);
      (before ? high : low) = before ? middle : middle + 1;
    }
    if (!run.Charge(8 * keys.size())) break;
    keys.insert(keys.begin() + static_cast<int64_t>(low), key);
    sorted.insert(sorted.begin() + static_cast<int64_t>(low), item);
  }
  return sorted;
}

Value Sort(Run& run, const Value& value, const Arguments& arguments) {
  return run.Items(Sorted(run, run.Iterate(value), arguments.Get(2, "attribute"),
                          Flag(arguments, 1, "case_sensitive"), Flag(arguments, 0, "reverse")));
}

Value DictSort(Run& run, const Value& value, const Arguments& arguments) {
  if (!value.is(Kind::kDict)) return run.Fail("dictsort needs a mapping");
  const Value* by = arguments.Get(1, "by");
  const Value index = Value::Int(by != nullptr && by->Str() == "value" ? 1 : 0);
  const Value items = ToItems(run, value, {});
  if (!run.ok()) return Value();
  return run.Items(Sorted(run, *items.list, &index, Flag(arguments, 0, "case_sensitive"),
                          Flag(arguments, 2, "reverse")));
}

Value Unique(Run& run, const Value& value, const Arguments& arguments) {
  List seen, kept;
  for (const Value& item : run.Iterate(value)) {
    Value key =
        SortKey(run, item, arguments.Get(1, "attribute"), Flag(arguments, 0, "case_sensitive"));
    if (!run.Charge(8 * seen.size())) return Value();
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) continue;
    seen.push_back(std::move(key));
    kept.push_back(item);
  }
  return run.Items(std::move(kept));
}

template <bool kMax>
Value Extreme(Run& run, const Value& value, const Arguments& arguments) {
  const List sorted = Sorted(run, run.Iterate(value), arguments.Get(1, "attribute"),
                             Flag(arguments, 0, "case_sensitive"), kMax);
  return sorted.empty() ? Value::Undefined("No aggregated item, sequence was empty.")
                        : sorted.front();
}

Value Sum(Run& run, const Value& value, const Arguments& arguments) {
  const Value* attribute = arguments.Get(0, "attribute");
  const Value* start = arguments.Get(1, "start");
  Value sum = start != nullptr ? *start : Value::Int(0);
  for (const Value& item : run.Iterate(value))
    sum = Binary(run, "+", sum, attribute != nullptr ? Path(run, item, *attribute) : item);
  return sum;
}

Value Abs(Run& run, const Value& value, const Arguments&) {
  if (!value.is_number())
    return run.Fail(absl::StrCat("bad operand type for abs(): '", value.TypeName(), "'"));
  return value.number() < 0 ? Binary(run, "-", Value::Int(0), value) : value;
}

Value Round(Run& run, const Value& value, const Arguments& arguments) {
  if (!value.is_number()) return run.Fail("round needs a number");
  const Value *precision = arguments.Get(0, "precision"), *method = arguments.Get(1, "method");
  const double scale =
      std::pow(10.0, precision != nullptr && precision->is_whole() ? precision->integer : 0);
  const std::string how = method != nullptr ? method->Str() : "common";
  const double scaled = value.number() * scale;
  return Value::Float((how == "ceil"    ? std::ceil(scaled)
                       : how == "floor" ? std::floor(scaled)
                                        : std::nearbyint(scaled)) /
                      scale);
}

Value Map(Run& run, const Value& value, const Arguments& arguments) {
  const Value* attribute = arguments.Get(arguments.values.size(), "attribute");
  List mapped;
  if (attribute != nullptr) {
    const Value* absent = arguments.Get(arguments.values.size(), "default");
    for (const Value& item : run.Iterate(value)) {
      Value found = Path(run, item, *attribute);
      mapped.push_back(found.is(Kind::kUndefined) && absent != nullptr ? *absent : found);
    }
    return run.Items(std::move(mapped));
  }
  if (arguments.values.empty()) return run.Fail("map requires a filter argument");
  Arguments rest = arguments;
  rest.values.erase(rest.values.begin());
  for (const Value& item : run.Iterate(value)) {
    if (!run.ok()) break;
    mapped.push_back(ApplyFilter(run, arguments.values[0].Str(), item, rest));
  }
  return run.Items(std::move(mapped));
}

// select, reject: by a test of the item; selectattr, rejectattr: of its attribute.
template <bool kKeep, bool kAttribute>
Value Choose(Run& run, const Value& value, const Arguments& arguments) {
  Arguments rest = arguments;
  const auto take = [&rest] {
    Value front = rest.values.front();
    rest.values.erase(rest.values.begin());
    return front;
  };
  Value attribute;
  if (kAttribute) {
    if (rest.values.empty()) return run.Fail("Missing parameter for attribute name");
    attribute = take();
  }
  const std::string test = rest.values.empty() ? "" : take().Str();
  List chosen;
  for (const Value& item : run.Iterate(value)) {
    if (!run.ok()) break;
    const Value tested = kAttribute ? Path(run, item, attribute) : item;
    const bool holds = test.empty() ? tested.Truthy() : ApplyTest(run, test, tested, rest);
    if (holds == kKeep) chosen.push_back(item);
  }
  return run.Items(std::move(chosen));
}

const absl::flat_hash_map<absl::string_view, Filter>& Filters() {
  static const auto* filters = new absl::flat_hash_map<absl::string_view, Filter>{
      {"length", Length},
      {"count", Length},
      {"default", Default},
      {"d", Default},
      {"tojson", Tojson},
      {"join", JoinFilter},
      {"replace", ReplaceFilter},
      {"trim", Trim},
      {"first", First},
      {"last", Last},
      {"items", ToItems},
      {"int", ToInt},
      {"float", ToFloat},
      {"reverse", Reverse},
      {"indent", Indent},
      {"sort", Sort},
      {"dictsort", DictSort},
      {"unique", Unique},
      {"min", Extreme<false>},
      {"max", Extreme<true>},
      {"sum", Sum},
      {"abs", Abs},
      {"round", Round},
      {"map", Map},
      {"select", Choose<true, false>},
      {"reject", Choose<false, false>},
      {"selectattr", Choose<true, true>},
      {"rejectattr", Choose<false, true>},
      {"upper",
       [](Run& r, const Value& v, const Arguments&) { return r.Text(UpperCase(v.Str())); }},
      {"lower",
       [](Run& r, const Value& v, const Arguments&) { return r.Text(LowerCase(v.Str())); }},
      {"title", [](Run& r, const Value& v, const Arguments&) { return r.Text(Title(v.Str())); }},
      {"capitalize",
       [](Run& r, const Value& v, const Arguments&) { return r.Text(Capitalize(v.Str())); }},
      {"string", [](Run& r, const Value& v, const Arguments&) { return r.Text(v.Str()); }},
      {"safe", [](Run& r, const Value& v, const Arguments&) { return r.Text(v.Str()); }},
      {"list", [](Run& r, const Value& v, const Arguments&) { return r.Items(r.Iterate(v)); }},
      {"attr",
       [](Run& r, const Value& v, const Arguments& a) {
         const Value* name = a.Get(0, "name");
         return name != nullptr ? r.Attribute(v, name->Str()) : r.Fail("attr needs a name");
       }},
      {"escape",
       [](Run& r, const Value& v, const Arguments&) {
         return r.Text(absl::StrReplaceAll(
             v.Str(),
             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {"\"", "&#34;"}}));
       }},
  };
  return *filters;
}

}  // namespace

Value ApplyFilter(Run& run, const std::string& name, const Value& value,
                  const Arguments& arguments) {
  if (!run.ok()) return Value();
  const auto found = Filters().find(name == "e" ? "escape" : name);
  if (found == Filters().end())
    return run.Fail(absl::StrCat("No filter named ", StringRepr(name), "."));
  return found->second(run, value, arguments);
}

}  // namespace ponder::data::jinja
