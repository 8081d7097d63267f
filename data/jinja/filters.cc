// What stands behind "|": the filters of numbers and of sequences.
#include "data/jinja/filters.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "data/jinja/text.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data::jinja {
namespace {

using Kind = Value::Kind;

// "a.b.0": attribute after attribute. None: the object itself.
Value Path(Run& run, const Value& object, const Value& path) {
  if (path.is(Kind::kNone)) return object;
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

// A number such as "ff", "0xff" or "-101".
bool InBase(absl::string_view text, int64_t base, int64_t* number) {
  const bool negative = absl::ConsumePrefix(&text, "-");
  const char* prefix = base == 16 ? "0x" : base == 8 ? "0o" : base == 2 ? "0b" : "";
  if (absl::StartsWithIgnoreCase(text, prefix)) text.remove_prefix(std::strlen(prefix));
  if (text.empty() || base < 2 || base > 36) return false;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), *number, static_cast<int>(base));
  if (negative) *number = -*number;
  return error == std::errc() && end == text.data() + text.size() && text[0] != '-';
}

// As Python's float reads a text: no hexadecimal digits.
bool ReadFloat(const std::string& text, double* number) {
  return text.find_first_of("xX") == std::string::npos && absl::SimpleAtod(text, number);
}

Value ToInt(Run& run, const Value& value, const Arguments& arguments) {
  const Value* absent = arguments.Get(0, "default");
  if (value.is_whole()) return Value::Int(value.integer);
  double real = value.real;
  if (value.is_string()) {
    int64_t whole = 0;
    const std::string text = Strip(value.string(), nullptr, true, true);
    const Value* base = arguments.Get(1, "base");
    if (base != nullptr && base->is_whole() && base->integer != 10) {
      if (InBase(text, base->integer, &whole)) return Value::Int(whole);
    } else if (absl::SimpleAtoi(text, &whole)) {
      return Value::Int(whole);
    }
    if (!ReadFloat(text, &real)) return absent != nullptr ? *absent : Value::Int(0);
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
  if (value.is_string() && ReadFloat(value.string(), &real)) return Value::Float(real);
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

// Lower case, unless `case_sensitive`: what sort, unique, min and max compare by; of several
// attributes, "a,b", a tuple.
Value SortKey(Run& run, const Value& item, const Value* attribute, bool case_sensitive) {
  if (attribute != nullptr && attribute->is_string() &&
      absl::StrContains(attribute->string(), ',')) {
    List keys;
    for (const absl::string_view name : absl::StrSplit(attribute->string(), ',')) {
      const Value one = Value::String(std::string(name));
      keys.push_back(SortKey(run, item, &one, case_sensitive));
    }
    return Value::MakeList(std::move(keys), Kind::kTuple);
  }
  Value key = attribute != nullptr ? Path(run, item, *attribute) : item;
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

// A tuple of key and items, which are also its attributes grouper and list.
Value Group(Value key, List items) {
  Value list = Value::MakeList(std::move(items));
  Value group = Value::MakeList({key, list}, Kind::kTuple);
  group.dict = std::make_shared<Dict>(
      Dict{{Value::String("grouper"), std::move(key)}, {Value::String("list"), std::move(list)}});
  return group;
}

Value GroupBy(Run& run, const Value& value, const Arguments& arguments) {
  const Value* attribute = arguments.Get(0, "attribute");
  const Value* absent = arguments.Get(1, "default");
  const bool case_sensitive = Flag(arguments, 2, "case_sensitive");
  if (attribute == nullptr) return run.Fail("groupby needs an attribute");
  const auto key_of = [&](const Value& item) {
    Value key = Path(run, item, *attribute);
    const bool missing = key.is(Kind::kUndefined) && absent != nullptr;
    return missing && !absent->is(Kind::kNone) ? *absent : key;
  };
  List pairs;  // of key and item
  for (const Value& item : run.Iterate(value))
    pairs.push_back(Value::MakeList({key_of(item), item}, Kind::kTuple));
  const Value first = Value::Int(0);
  List groups, members;
  Value key, folded;
  const auto close = [&] {
    if (!members.empty()) groups.push_back(Group(key, std::exchange(members, {})));
  };
  for (const Value& pair : Sorted(run, pairs, &first, case_sensitive, false)) {
    if (!run.ok()) return Value();
    Value next = SortKey(run, pair, &first, case_sensitive);
    if (members.empty() || !(next == folded)) {
      close();
      key = (*pair.list)[0];
      folded = std::move(next);
    }
    members.push_back((*pair.list)[1]);
  }
  close();
  return run.Items(std::move(groups));
}

// How many lists, or items of one. False, after Fail.
bool CountArgument(Run& run, const Arguments& arguments, const char* name, size_t* count) {
  const Value* value = arguments.Get(0, name);
  if (value == nullptr || !value->is_whole() || value->integer < 1) {
    run.Fail(absl::StrCat("'", name, "' must be a number above 0"));
    return false;
  }
  *count = static_cast<size_t>(std::min<int64_t>(value->integer, 1 << 30));
  return run.Charge(*count * sizeof(Value));
}

Value Batch(Run& run, const Value& value, const Arguments& arguments) {
  const Value* fill = arguments.Get(1, "fill_with");
  size_t count = 0;
  if (!CountArgument(run, arguments, "linecount", &count)) return Value();
  List batches, batch;
  for (const Value& item : run.Iterate(value)) {
    batch.push_back(item);
    if (batch.size() == count) batches.push_back(run.Items(std::exchange(batch, {})));
  }
  if (!batch.empty()) {
    if (fill != nullptr && !fill->is(Kind::kNone)) batch.resize(count, *fill);
    batches.push_back(run.Items(std::move(batch)));
  }
  return run.Items(std::move(batches));
}

Value SliceFilter(Run& run, const Value& value, const Arguments& arguments) {
  const Value* fill = arguments.Get(1, "fill_with");
  size_t count = 0;
  if (!CountArgument(run, arguments, "slices", &count)) return Value();
  const List items = run.Iterate(value);
  const size_t longer = items.size() % count;  // so many slices have one more
  List slices;
  auto next = items.begin();
  for (size_t i = 0; i < count && run.ok(); ++i) {
    const auto end = next + static_cast<int64_t>(items.size() / count + (i < longer ? 1 : 0));
    List slice(next, end);
    if (fill != nullptr && !fill->is(Kind::kNone) && i >= longer) slice.push_back(*fill);
    slices.push_back(run.Items(std::move(slice)));
    next = end;
  }
  return run.Items(std::move(slices));
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
  if (value.is(Kind::kBool)) return Value::Int(value.integer);
  return value.number() < 0 ? Binary(run, "-", Value::Int(0), value) : value;
}

Value Round(Run& run, const Value& value, const Arguments& arguments) {
  if (!value.is_number()) return run.Fail("round needs a number");
  const Value *digits = arguments.Get(0, "precision"), *method = arguments.Get(1, "method");
  const int64_t precision = digits != nullptr && digits->is_whole() ? digits->integer : 0;
  const std::string how = method != nullptr ? method->Str() : "common";
  if (how != "common" && how != "ceil" && how != "floor")
    return run.Fail("method must be common, ceil or floor");
  if (how == "common" && precision >= 0) {
    if (value.is_whole()) return Value::Int(value.integer);
    double rounded = 0;
    const int shown = static_cast<int>(std::min<int64_t>(precision, 300));
    return absl::SimpleAtod(absl::StrFormat("%.*f", shown, value.real), &rounded)
               ? Value::Float(rounded)
               : value;
  }
  const double scale = std::pow(10.0, precision), scaled = value.number() * scale;
  const double rounded = (how == "ceil"    ? std::ceil(scaled)
                          : how == "floor" ? std::floor(scaled)
                                           : std::nearbyint(scaled)) /
                         scale;
  return how == "common" && value.is_whole() ? Value::Int(static_cast<int64_t>(rounded))
                                             : Value::Float(rounded);
}

Value Map(Run& run, const Value& value, const Arguments& arguments) {
  if (!value.Truthy()) return Value::MakeList({});
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
  if (!value.Truthy()) return Value::MakeList({});  // None is as good as an empty list
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

// An attribute, never an item.
Value Attr(Run& run, const Value& value, const Arguments& arguments) {
  const Value* name = arguments.Get(0, "name");
  if (name == nullptr) return run.Fail("attr needs a name");
  Value found =
      value.is(Kind::kDict) ? MethodOf(run, value, name->Str()) : run.Attribute(value, name->Str());
  if (!found.is(Kind::kUndefined)) return found;
  return Value::Undefined(absl::StrCat("there is no attribute ", StringRepr(name->Str())));
}

const FilterTable& Filters() {
  static const auto* filters = [] {
    auto* table = new FilterTable{
        {"length", Length},
        {"count", Length},
        {"default", Default},
        {"d", Default},
        {"join", JoinFilter},
        {"first", First},
        {"last", Last},
        {"items", ToItems},
        {"int", ToInt},
        {"float", ToFloat},
        {"reverse", Reverse},
        {"sort", Sort},
        {"dictsort", DictSort},
        {"groupby", GroupBy},
        {"batch", Batch},
        {"slice", SliceFilter},
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
        {"list", [](Run& r, const Value& v, const Arguments&) { return r.Items(r.Iterate(v)); }},
        {"attr", Attr},
    };
    AddTextFilters(table);
    return table;
  }();
  return *filters;
}

}  // namespace

Value ApplyFilter(Run& run, const std::string& name, const Value& value,
                  const Arguments& arguments) {
  if (!run.ok()) return Value();
  const auto found = Filters().find(name);
  if (found == Filters().end())
    return run.Fail(absl::StrCat("No filter named ", StringRepr(name), "."));
  return found->second(run, value, arguments);
}

}  // namespace ponder::data::jinja
