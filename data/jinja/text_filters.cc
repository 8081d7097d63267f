// The filters that make text of a value.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "data/jinja/filters.h"
#include "data/jinja/text.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data::jinja {
namespace {

using Kind = Value::Kind;

std::string Escaped(const Value& value) {
  return absl::StrReplaceAll(
      value.Str(), {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {"\"", "&#34;"}});
}

int64_t WholeOr(const Arguments& arguments, size_t index, absl::string_view name, int64_t absent) {
  const Value* value = arguments.Get(index, name);
  return value != nullptr && value->is_whole() ? value->integer : absent;
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

// Words begin behind white space, hyphens and opening brackets; not so those of Python's title().
std::string TitleOfWords(const std::string& text) {
  std::string title;
  std::u32string word;
  const auto end_word = [&] {
    title += Capitalize(Utf8(word));
    word.clear();
  };
  for (const char32_t c : Characters(text)) {
    const bool parts = c == '-' || c == '(' || c == '{' || c == '[' || c == '<' ||
                       LeadingWhitespace(Utf8(std::u32string_view(&c, 1))) > 0;
    if (parts) end_word();
    if (parts) title += Utf8(std::u32string_view(&c, 1));
    if (!parts) word.push_back(c);
  }
  end_word();
  return title;
}

Value Center(Run& run, const Value& value, const Arguments& arguments) {
  const int64_t width = WholeOr(arguments, 0, "width", 80);
  if (!run.Charge(static_cast<size_t>(std::max<int64_t>(width, 0)))) return Value();
  return run.Text(Pad(value.Str(), width, " ", Side::kBoth));
}

Value Truncate(Run& run, const Value& value, const Arguments& arguments) {
  const Value* given = arguments.Get(2, "end");
  const std::u32string end = Characters(given != nullptr ? given->Str() : "...");
  const int64_t length = WholeOr(arguments, 0, "length", 255);
  const int64_t leeway = WholeOr(arguments, 3, "leeway", 5);
  const std::u32string text = Characters(value.Str());
  const auto kept = length - static_cast<int64_t>(end.size());
  if (kept < 0) return run.Fail(absl::StrCat("expected length >= ", end.size(), ", got ", length));
  if (leeway < 0) return run.Fail(absl::StrCat("expected leeway >= 0, got ", leeway));
  if (static_cast<int64_t>(text.size()) <= length + leeway) return run.Text(Utf8(text));
  std::u32string cut = text.substr(0, static_cast<size_t>(kept));
  // A word is not cut, unless it is the only one.
  const size_t space = Flag(arguments, 1, "killwords") ? std::u32string::npos : cut.rfind(U' ');
  if (space != std::u32string::npos) cut.resize(space);
  return run.Text(Utf8(cut + end));
}

Value WordCount(Run&, const Value& value, const Arguments&) {
  int64_t count = 0;
  bool inside = false;
  for (const char32_t c : Characters(value.Str())) {
    const bool word = c == '_' || IsAlphanumeric(c);
    count += word && !inside ? 1 : 0;
    inside = word;
  }
  return Value::Int(count);
}

Value Format(Run& run, const Value& value, const Arguments& arguments) {
  if (arguments.named.empty())
    return FormatPercent(run, value.Str(), Value::MakeList(arguments.values, Kind::kTuple));
  if (!arguments.values.empty())
    return run.Fail("can't handle positional and keyword arguments at the same time");
  Dict entries;
  for (const auto& [name, item] : arguments.named) entries.emplace_back(Value::String(name), item);
  return FormatPercent(run, value.Str(), Value::MakeDict(std::move(entries)));
}

// For a URL: its path, or the names and values of its query.
std::string Quoted(const std::string& text, bool query) {
  std::string quoted;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || absl::StrContains(query ? "_.-~" : "_.-~/", c)) {
      quoted.push_back(c);
    } else if (query && c == ' ') {
      quoted.push_back('+');
    } else {
      absl::StrAppendFormat(&quoted, "%%%02X", byte);
    }
  }
  return quoted;
}

Value UrlEncode(Run& run, const Value& value, const Arguments&) {
  if (!value.is(Kind::kDict) && !value.is_sequence()) {
    const std::string text = value.Str();
    return run.Charge(3 * text.size()) ? run.Text(Quoted(text, false)) : Value();
  }
  Dict pairs;
  if (value.is(Kind::kDict)) {
    pairs = *value.dict;
  } else {
    for (const Value& item : *value.list) {
      if (!item.is_sequence() || item.list->size() != 2)
        return run.Fail("urlencode needs pairs of name and value");
      pairs.emplace_back((*item.list)[0], (*item.list)[1]);
    }
  }
  std::vector<std::string> parts;
  for (const auto& [name, item] : pairs) {
    if (!run.Charge(3 * item.Str().size())) return Value();
    parts.push_back(absl::StrCat(Quoted(name.Str(), true), "=", Quoted(item.Str(), true)));
  }
  return run.Text(absl::StrJoin(parts, "&"));
}

Value XmlAttributes(Run& run, const Value& value, const Arguments& arguments) {
  if (!value.is(Kind::kDict)) return run.Fail("xmlattr needs a mapping");
  const Value* space = arguments.Get(0, "autospace");
  std::string text;
  for (const auto& [name, item] : *value.dict) {
    if (item.is(Kind::kNone) || item.is(Kind::kUndefined)) continue;
    if (name.Str().find_first_of(" \t\n\r\f\v/>=") != std::string::npos)
      return run.Fail(absl::StrCat("Invalid character in attribute name: ", name.Repr()));
    const bool first = text.empty() && space != nullptr && !space->Truthy();
    absl::StrAppend(&text, first ? "" : " ", Escaped(name), "=\"", Escaped(item), "\"");
    if (!run.Charge(item.Str().size())) return Value();
  }
  return run.Text(std::move(text));
}

}  // namespace

void AddTextFilters(FilterTable* table) {
  const auto add = [&](absl::string_view name, Filter filter) { (*table)[name] = filter; };
  add("tojson", Tojson);
  add("replace", ReplaceFilter);
  add("trim", Trim);
  add("indent", Indent);
  add("center", Center);
  add("truncate", Truncate);
  add("wordcount", WordCount);
  add("format", Format);
  add("urlencode", UrlEncode);
  add("xmlattr", XmlAttributes);
  add("upper", [](Run& r, const Value& v, const Arguments&) { return r.Text(UpperCase(v.Str())); });
  add("lower", [](Run& r, const Value& v, const Arguments&) { return r.Text(LowerCase(v.Str())); });
  add("title",
      [](Run& r, const Value& v, const Arguments&) { return r.Text(TitleOfWords(v.Str())); });
  add("capitalize",
      [](Run& r, const Value& v, const Arguments&) { return r.Text(Capitalize(v.Str())); });
  for (const char* name : {"string", "safe"})
    add(name, [](Run& r, const Value& v, const Arguments&) { return r.Text(v.Str()); });
  for (const char* name : {"escape", "e", "forceescape"})
    add(name, [](Run& r, const Value& v, const Arguments&) { return r.Text(Escaped(v)); });
}

}  // namespace ponder::data::jinja
