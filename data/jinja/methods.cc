// The methods of strings and dicts, and the global functions.
#include <algorithm>
#include <ctime>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/jinja/run.h"
#include "data/jinja/text.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data::jinja {
namespace {

using Kind = Value::Kind;
using StringMethod = Value (*)(Run&, const std::string&, const Arguments&);

// A string argument; absent or None: null. Fails if it is another thing.
const std::string* TextArgument(Run& run, const Arguments& arguments, size_t index,
                                absl::string_view name) {
  const Value* value = arguments.Get(index, name);
  if (value == nullptr || value->is(Kind::kNone)) return nullptr;
  if (value->is_string()) return value->text.get();
  run.Fail(absl::StrCat("'", name, "' must be str, not ", value->TypeName()));
  return nullptr;
}

int64_t IntArgument(Run& run, const Arguments& arguments, size_t index, absl::string_view name,
                    int64_t absent) {
  const Value* value = arguments.Get(index, name);
  if (value == nullptr) return absent;
  if (!value->is_whole())
    run.Fail(absl::StrCat("'", value->TypeName(), "' object cannot be interpreted as an integer"));
  return value->integer;
}

Value List_(Run& run, std::vector<std::string> texts) {
  List items;
  for (std::string& text : texts) items.push_back(run.Text(std::move(text)));
  return run.Items(std::move(items));
}

// At white space, as str.split without a separator.
std::vector<std::string> SplitAtSpace(const std::string& text, int64_t most, bool from_right) {
  std::vector<std::string> words;
  std::string rest = Strip(text, nullptr, true, true);
  while (!rest.empty() && (most < 0 || static_cast<int64_t>(words.size()) < most)) {
    size_t cut = std::string::npos, next = 0;
    if (from_right) {
      for (size_t i = rest.size(); i > 0 && cut == std::string::npos; --i) {
        if (const size_t space = TrailingWhitespace(absl::string_view(rest).substr(0, i))) {
          next = i;
          cut = i - space;
        }
      }
    } else {
      for (size_t i = 0; i < rest.size() && cut == std::string::npos; ++i) {
        if ((rest[i] & 0xC0) == 0x80) continue;
        if (const size_t space = LeadingWhitespace(absl::string_view(rest).substr(i))) {
          cut = i;
          next = i + space;
        }
      }
    }
    if (cut == std::string::npos) break;
    if (from_right) {
      words.push_back(rest.substr(next));
      rest.resize(cut);
    } else {
      words.push_back(rest.substr(0, cut));
      rest.erase(0, next);
    }
  }
  if (!rest.empty()) words.push_back(std::move(rest));
  if (from_right) std::reverse(words.begin(), words.end());
  return words;
}

Value Split(Run& run, const std::string& text, const Arguments& arguments, bool from_right) {
  const std::string* separator = TextArgument(run, arguments, 0, "sep");
  const int64_t most = IntArgument(run, arguments, 1, "maxsplit", -1);
  if (!run.Charge(2 * text.size())) return Value();
  if (separator == nullptr) {
    if (text.size() > (1 << 20)) return run.Fail("the text is too long to be split into words");
    return List_(run, SplitAtSpace(text, most, from_right));
  }
  if (separator->empty()) return run.Fail("empty separator");
  std::vector<std::string> parts;
  std::string_view rest = text;
  while (most < 0 || static_cast<int64_t>(parts.size()) < most) {
    const size_t at = from_right ? rest.rfind(*separator) : rest.find(*separator);
    if (at == std::string_view::npos) break;
    if (from_right) {
      parts.emplace_back(rest.substr(at + separator->size()));
      rest = rest.substr(0, at);
    } else {
      parts.emplace_back(rest.substr(0, at));
      rest.remove_prefix(at + separator->size());
    }
  }
  parts.emplace_back(rest);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return List_(run, std::move(parts));
}

template <bool kLeft, bool kRight>
Value StripMethod(Run& run, const std::string& text, const Arguments& arguments) {
  const std::string* set = TextArgument(run, arguments, 0, "chars");
  return run.Text(Strip(text, set, kLeft, kRight));
}

template <bool kStart>
Value Affix(Run& run, const std::string& text, const Arguments& arguments) {
  const Value* given = arguments.Get(0, "prefix");
  std::vector<Value> affixes;
  if (given != nullptr && given->is(Kind::kTuple)) {
    affixes = *given->list;
  } else if (given != nullptr) {
    affixes = {*given};
  }
  for (const Value& affix : affixes) {
    if (!affix.is_string()) {
      return run.Fail(absl::StrCat(kStart ? "starts" : "ends",
                                   "with first arg must be str or a tuple of str, not ",
                                   affix.TypeName()));
    }
    if (kStart ? absl::StartsWith(text, affix.string()) : absl::EndsWith(text, affix.string()))
      return Value::Bool(true);
  }
  return Value::Bool(false);
}

template <bool kPrefix>
Value RemoveAffix(Run& run, const std::string& text, const Arguments& arguments) {
  const std::string* affix = TextArgument(run, arguments, 0, "prefix");
  if (affix == nullptr) return run.Text(text);
  if (kPrefix && absl::StartsWith(text, *affix)) return run.Text(text.substr(affix->size()));
  if (!kPrefix && absl::EndsWith(text, *affix))
    return run.Text(text.substr(0, text.size() - affix->size()));
  return run.Text(text);
}

template <bool kLast, bool kFails>
Value Find(Run& run, const std::string& text, const Arguments& arguments) {
  const std::string* part = TextArgument(run, arguments, 0, "sub");
  if (part == nullptr) return run.Fail("must be str, not None");
  const size_t at = kLast ? text.rfind(*part) : text.find(*part);
  if (at == std::string::npos) return kFails ? run.Fail("substring not found") : Value::Int(-1);
  return Value::Int(CountCharacters(absl::string_view(text).substr(0, at)));
}

Value Count(Run& run, const std::string& text, const Arguments& arguments) {
  const std::string* part = TextArgument(run, arguments, 0, "sub");
  if (part == nullptr) return run.Fail("must be str, not None");
  if (part->empty()) return Value::Int(CountCharacters(text) + 1);
  int64_t count = 0;
  for (size_t at = text.find(*part); at != std::string::npos;
       at = text.find(*part, at + part->size()))
    ++count;
  return Value::Int(count);
}

Value Replace(Run& run, const std::string& text, const Arguments& arguments) {
  const std::string* from = TextArgument(run, arguments, 0, "old");
  const std::string* to = TextArgument(run, arguments, 1, "new");
  const int64_t count = IntArgument(run, arguments, 2, "count", -1);
  if (!run.ok()) return Value();
  if (from == nullptr || to == nullptr) return run.Fail("replace needs two texts");
  if (!run.Charge((text.size() + 1) * (to->size() + 1) / std::max<size_t>(1, from->size())))
    return Value();
  return run.Text(ReplaceText(text, *from, *to, count));
}

Value Join(Run& run, const std::string& text, const Arguments& arguments) {
  const Value* items = arguments.Get(0, "iterable");
  if (items == nullptr) return run.Fail("join() takes exactly one argument (0 given)");
  std::vector<std::string> parts;
  for (const Value& item : run.Iterate(*items)) {
    if (!item.is_string()) {
      return run.Fail(absl::StrCat("sequence item ", parts.size(), ": expected str instance, ",
                                   item.TypeName(), " found"));
    }
    parts.push_back(item.string());
    if (!run.Charge(item.string().size() + text.size())) return Value();
  }
  return run.Text(absl::StrJoin(parts, text));
}

// Before, at and behind the first or the last separator.
template <bool kLast>
Value Partition(Run& run, const std::string& text, const Arguments& arguments) {
  const std::string* separator = TextArgument(run, arguments, 0, "sep");
  if (separator == nullptr) return run.Fail("must be str, not NoneType");
  if (separator->empty()) return run.Fail("empty separator");
  const size_t at = kLast ? text.rfind(*separator) : text.find(*separator);
  std::vector<std::string> parts = {text, "", ""};
  if (at != std::string::npos) {
    parts = {text.substr(0, at), *separator, text.substr(at + separator->size())};
  } else if (kLast) {
    parts = {"", "", text};
  }
  List items;
  for (std::string& part : parts) items.push_back(run.Text(std::move(part)));
  return Value::MakeList(std::move(items), Kind::kTuple);
}

// center, ljust, rjust.
template <Side kSide>
Value Fill(Run& run, const std::string& text, const Arguments& arguments) {
  const int64_t width = IntArgument(run, arguments, 0, "width", 0);
  const std::string* fill = TextArgument(run, arguments, 1, "fillchar");
  if (fill != nullptr && CountCharacters(*fill) != 1)
    return run.Fail("The fill character must be exactly one character long");
  if (!run.ok() || !run.Charge(static_cast<size_t>(std::max<int64_t>(width, 0)))) return Value();
  return run.Text(Pad(text, width, fill != nullptr ? *fill : " ", kSide));
}

Value ZeroFill(Run& run, const std::string& text, const Arguments& arguments) {
  const int64_t width = IntArgument(run, arguments, 0, "width", 0);
  if (!run.ok() || !run.Charge(static_cast<size_t>(std::max<int64_t>(width, 0)))) return Value();
  const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  return run.Text(text.substr(0, sign) +
                  Pad(text.substr(sign), width - static_cast<int64_t>(sign), "0", Side::kLeft));
}

// Whether there is text, and nothing but characters of a kind.
template <bool (*kOf)(char32_t)>
Value Is(Run&, const std::string& text, const Arguments&) {
  const std::u32string characters = Characters(text);
  return Value::Bool(!text.empty() && std::all_of(characters.begin(), characters.end(), kOf));
}

const absl::flat_hash_map<absl::string_view, StringMethod>& StringMethods() {
  static const auto* methods = new absl::flat_hash_map<absl::string_view, StringMethod>{
      {"strip", StripMethod<true, true>},
      {"lstrip", StripMethod<true, false>},
      {"rstrip", StripMethod<false, true>},
      {"startswith", Affix<true>},
      {"endswith", Affix<false>},
      {"removeprefix", RemoveAffix<true>},
      {"removesuffix", RemoveAffix<false>},
      {"find", Find<false, false>},
      {"rfind", Find<true, false>},
      {"index", Find<false, true>},
      {"rindex", Find<true, true>},
      {"count", Count},
      {"replace", Replace},
      {"join", Join},
      {"format", FormatBraces},
      {"partition", Partition<false>},
      {"rpartition", Partition<true>},
      {"center", Fill<Side::kBoth>},
      {"ljust", Fill<Side::kRight>},
      {"rjust", Fill<Side::kLeft>},
      {"zfill", ZeroFill},
      {"split",
       [](Run& r, const std::string& t, const Arguments& a) { return Split(r, t, a, false); }},
      {"rsplit",
       [](Run& r, const std::string& t, const Arguments& a) { return Split(r, t, a, true); }},
      {"splitlines",
       [](Run& r, const std::string& t, const Arguments& a) {
         const Value* keep = a.Get(0, "keepends");
         return List_(r, SplitLines(t, keep != nullptr && keep->Truthy()));
       }},
      {"upper",
       [](Run& r, const std::string& t, const Arguments&) { return r.Text(UpperCase(t)); }},
      {"lower",
       [](Run& r, const std::string& t, const Arguments&) { return r.Text(LowerCase(t)); }},
      {"title", [](Run& r, const std::string& t, const Arguments&) { return r.Text(Title(t)); }},
      {"capitalize",
       [](Run& r, const std::string& t, const Arguments&) { return r.Text(Capitalize(t)); }},
      {"isdigit", Is<IsUnicodeDigit>},
      {"isdecimal", Is<IsDecimal>},
      {"isnumeric", Is<IsNumeric>},
      {"isalpha", Is<IsAlphabetic>},
      {"isalnum", Is<IsAlphanumeric>},
      {"isupper",
       [](Run&, const std::string& t, const Arguments&) {
         return Value::Bool(UpperCase(t) == t && LowerCase(t) != t);
       }},
      {"islower",
       [](Run&, const std::string& t, const Arguments&) {
         return Value::Bool(LowerCase(t) == t && UpperCase(t) != t);
       }},
      {"isspace",
       [](Run&, const std::string& t, const Arguments&) {
         return Value::Bool(!t.empty() && Strip(t, nullptr, true, false).empty());
       }},
  };
  return *methods;
}

Value DictMethod(const Value& object, const std::string& name) {
  const auto entries = object.dict;
  if (name == "get") {
    return Value::MakeFunction([entries, object](Run& run, const Arguments& arguments) {
      const Value* key = arguments.Get(0, "key");
      if (key == nullptr) return run.Fail("get expected at least 1 argument, got 0");
      run.Charge(8 * entries->size());
      if (const Value* found = object.Find(*key)) return *found;
      const Value* absent = arguments.Get(1, "default");
      return absent != nullptr ? *absent : Value::None();
    });
  }
  if (name == "copy")
    return Value::MakeFunction([object](Run&, const Arguments&) { return object; });
  const bool keys = name == "keys", values = name == "values";
  if (!keys && !values && name != "items") return Value();
  return Value::MakeFunction([entries, keys, values](Run& run, const Arguments&) {
    List items;
    for (const auto& [key, value] : *entries) {
      items.push_back(keys ? key : values ? value : Value::MakeList({key, value}, Kind::kTuple));
    }
    return run.Items(std::move(items));
  });
}

Value ListMethod(const Value& object, const std::string& name) {
  const auto list = object.list;
  if (name == "copy" && object.is(Kind::kList))
    return Value::MakeFunction([object](Run&, const Arguments&) { return object; });
  if (name == "index") {
    return Value::MakeFunction([list](Run& run, const Arguments& arguments) {
      const Value* item = arguments.Get(0, "value");
      if (item == nullptr) return run.Fail("index expected at least 1 argument, got 0");
      const auto found = std::find(list->begin(), list->end(), *item);
      if (found == list->end()) return run.Fail(absl::StrCat(item->Repr(), " is not in list"));
      return Value::Int(found - list->begin());
    });
  }
  if (name == "count") {
    return Value::MakeFunction([list](Run& run, const Arguments& arguments) {
      const Value* item = arguments.Get(0, "value");
      if (item == nullptr) return run.Fail("count() takes exactly one argument (0 given)");
      return Value::Int(std::count(list->begin(), list->end(), *item));
    });
  }
  return Value();
}

Value Range(Run& run, const Arguments& arguments) {
  int64_t bounds[3] = {0, 0, 1};
  const size_t count = arguments.values.size();
  if (count < 1 || count > 3) return run.Fail("range expects 1 to 3 arguments");
  for (size_t i = 0; i < count; ++i)
    bounds[count == 1 ? 1 : i] = IntArgument(run, arguments, i, "", 0);
  if (!run.ok()) return Value();
  if (bounds[2] == 0) return run.Fail("range() arg 3 must not be zero");
  List items;
  for (int64_t i = bounds[0]; bounds[2] > 0 ? i < bounds[1] : i > bounds[1];) {
    if (items.size() == 100'000)
      return run.Fail("Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
    items.push_back(Value::Int(i));
    if (__builtin_add_overflow(i, bounds[2], &i)) break;
  }
  return run.Items(std::move(items));
}

// A dict or pairs, and what is named.
bool Entries(Run& run, const Arguments& arguments, Dict* entries) {
  const Value* first = arguments.values.empty() ? nullptr : &arguments.values[0];
  if (first != nullptr && first->is(Kind::kDict)) {
    *entries = *first->dict;
  } else if (first != nullptr) {
    for (const Value& pair : run.Iterate(*first)) {
      if (!pair.is_sequence() || pair.list->size() != 2) {
        run.Fail("a dict is made of pairs of key and value");
        return false;
      }
      if (!run.Charge(8 * entries->size())) return false;
      Put(entries, (*pair.list)[0], (*pair.list)[1]);
    }
  }
  for (const auto& [name, value] : arguments.named) Put(entries, Value::String(name), value);
  for (const auto& [name, value] : *entries)
    if (!run.MayBeHeld(value)) return false;
  return run.ok();
}

Value MakeNamespace(Run& run, const Arguments& arguments) {
  Dict entries;
  if (!Entries(run, arguments, &entries)) return Value();
  for (const auto& entry : entries)
    if (!entry.first.is_string()) return run.Fail("the names of a namespace must be str");
  Value made = Value::MakeDict(std::move(entries));
  made.kind = Kind::kNamespace;
  made.depth = 0;
  return made;
}

Value MakeDict(Run& run, const Arguments& arguments) {
  Dict entries;
  return Entries(run, arguments, &entries) ? Value::MakeDict(std::move(entries)) : Value();
}

// An object whose next() gives one item after another, over and over.
Value MakeCycler(Run& run, const Arguments& arguments) {
  if (arguments.values.empty()) return run.Fail("at least one item has to be provided");
  for (const Value& item : arguments.values)
    if (!run.MayBeHeld(item)) return Value();
  Value made = Value::MakeDict({{Value::String("current"), arguments.values[0]}});
  made.kind = Kind::kNamespace;
  made.depth = 0;
  const auto step = [items = arguments.values, at = std::make_shared<size_t>(0),
                     object = std::weak_ptr<Dict>(made.dict)](bool restart) {
    const Value current = items[*at];
    *at = restart ? 0 : (*at + 1) % items.size();
    if (const auto entries = object.lock())
      Put(entries.get(), Value::String("current"), items[*at]);
    return current;
  };
  made.dict->emplace_back(
      Value::String("next"),
      Value::MakeFunction([step](Run&, const Arguments&) { return step(false); }));
  made.dict->emplace_back(Value::String("reset"),
                          Value::MakeFunction([step](Run&, const Arguments&) {
                            step(true);
                            return Value::None();
                          }));
  return made;
}

// A function that gives nothing the first time, and then the separator.
Value MakeJoiner(Run& run, const Arguments& arguments) {
  const Value* given = arguments.Get(0, "sep");
  if (given != nullptr && !run.MayBeHeld(*given)) return Value();
  return Value::MakeFunction([separator = given != nullptr ? *given : Value::String(", "),
                              used = std::make_shared<bool>(false)](Run&, const Arguments&) {
    return std::exchange(*used, true) ? separator : Value::String("");
  });
}

Value StrftimeNow(Run& run, const Arguments& arguments) {
  const std::string* format = TextArgument(run, arguments, 0, "format");
  if (format == nullptr) return run.Fail("strftime_now needs a format");
  const std::time_t seconds = absl::ToTimeT(run.now());
  std::tm local{};
  localtime_r(&seconds, &local);
  if (format->empty() || format->size() > 200) return run.Text("");
  std::string text(4096, '\0');
  text.resize(std::strftime(text.data(), text.size(), format->c_str(), &local));
  return run.Text(std::move(text));
}

}  // namespace

Value MethodOf(Run& run, const Value& object, const std::string& name) {
  if (object.is_string()) {
    const auto found = StringMethods().find(name);
    if (found == StringMethods().end()) return Value();
    return Value::MakeFunction(
        [method = found->second, text = object.text](Run& r, const Arguments& arguments) {
          return r.Charge(text->size()) ? method(r, *text, arguments) : Value();
        });
  }
  for (const char* changing : {"append", "extend", "insert", "pop", "remove", "clear", "sort",
                               "reverse", "update", "setdefault", "popitem"}) {
    const bool has = object.is(Kind::kList) || object.is(Kind::kDict);
    if (!has || name != changing) continue;
    if (object.is(Kind::kDict) && object.Find(name) != nullptr) continue;
    return run.Fail(absl::StrCat("access to attribute '", name, "' of '", object.TypeName(),
                                 "' object is unsafe."));
  }
  if (object.is(Kind::kDict)) return DictMethod(object, name);
  if (object.is_sequence()) return ListMethod(object, name);
  return Value();
}

void AddGlobals(Run* run) {
  run->SetGlobal("range", Value::MakeFunction(Range));
  run->SetGlobal("namespace", Value::MakeFunction(MakeNamespace));
  run->SetGlobal("strftime_now", Value::MakeFunction(StrftimeNow));
  run->SetGlobal("raise_exception", Value::MakeFunction([](Run& r, const Arguments& arguments) {
                   const Value* message = arguments.Get(0, "message");
                   return r.Fail(message != nullptr ? message->Str() : "raise_exception");
                 }));
  run->SetGlobal("dict", Value::MakeFunction(MakeDict));
  run->SetGlobal("cycler", Value::MakeFunction(MakeCycler));
  run->SetGlobal("joiner", Value::MakeFunction(MakeJoiner));
}

}  // namespace ponder::data::jinja
