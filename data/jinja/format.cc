// Python's two ways to put values into a text: "{:>5} {x}".format(...) and "%5s %(x)s" % values.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "data/jinja/run.h"

namespace ponder::data::jinja {
namespace {

using Kind = Value::Kind;
constexpr int64_t kMaxWidth = 10'000;

// How one value is written: [[fill]align][sign][#][0][width][,][.precision][type].
struct Spec {
  std::string fill;
  char align = '\0';  // < > ^ =; none: as the type is used to
  char sign = '-';
  bool alternate = false, zero = false, thousands = false;
  int64_t width = 0, precision = -1;
  char type = '\0';
};

// A number at `at`, which moves behind it; `absent` if there is none. Fails if it is too large.
int64_t Number(Run& run, absl::string_view text, size_t* at, int64_t absent) {
  const size_t begin = *at;
  while (*at < text.size() && absl::ascii_isdigit(static_cast<unsigned char>(text[*at]))) ++*at;
  int64_t number = 0;
  if (*at == begin) return absent;
  if (!absl::SimpleAtoi(text.substr(begin, *at - begin), &number) || number > kMaxWidth) {
    run.Fail("the format is too wide");
    return absent;
  }
  return number;
}

// `usual`: the alignment where none is asked for.
std::string Padded(const Spec& spec, const std::string& text, char usual) {
  const int64_t missing = spec.width - CountCharacters(text);
  if (missing <= 0) return text;
  const char align = spec.align != '\0' ? spec.align : usual;
  const auto fill = [&](int64_t count) {
    std::string filled;
    for (; count > 0; --count) filled += spec.fill;
    return filled;
  };
  if (align == '<') return text + fill(missing);
  if (align == '^') return fill(missing / 2) + text + fill(missing - missing / 2);
  if (align == '>') return fill(missing) + text;
  // Between sign and digits.
  const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+' || text[0] == ' ') ? 1 : 0;
  return text.substr(0, sign) + fill(missing) + text.substr(sign);
}

std::string WithThousands(const std::string& digits) {
  std::string grouped;
  const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  for (size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % 3 == 0) grouped.push_back(',');
    grouped.push_back(digits[i]);
  }
  return grouped + digits.substr(whole);
}

std::string Digits(const Spec& spec, uint64_t size) {
  switch (spec.type) {
    case 'x':
      return absl::StrFormat("%s%x", spec.alternate ? "0x" : "", size);
    case 'X':
      return absl::StrFormat("%s%X", spec.alternate ? "0X" : "", size);
    case 'o':
      return absl::StrFormat("%s%o", spec.alternate ? "0o" : "", size);
    case 'b': {
      std::string bits;
      do {
        bits.insert(bits.begin(), static_cast<char>('0' + (size & 1)));
      } while ((size >>= 1) != 0);
      return (spec.alternate ? "0b" : "") + bits;
    }
    default:
      return absl::StrCat(size);
  }
}

// Without its sign.
std::string RealDigits(const Spec& spec, double size) {
  const int precision =
      spec.precision < 0 ? 6 : static_cast<int>(std::min<int64_t>(spec.precision, 300));
  switch (spec.type) {
    case 'e':
      return absl::StrFormat("%.*e", precision, size);
    case 'E':
      return absl::StrFormat("%.*E", precision, size);
    case 'g':
      return absl::StrFormat("%.*g", precision, size);
    case 'G':
      return absl::StrFormat("%.*G", precision, size);
    case '%':
      return absl::StrFormat("%.*f%%", precision, 100 * size);
    case '\0':
      return spec.precision < 0 ? FloatRepr(size) : absl::StrFormat("%.*g", precision, size);
    default:
      return absl::StrFormat("%.*f", precision, size);
  }
}

std::string NumberText(const Spec& spec, const Value& value) {
  const bool whole = value.is_whole() && !absl::StrContains("eEfFgG%", spec.type);
  const bool negative = whole ? value.integer < 0 : std::signbit(value.number());
  std::string digits = whole ? Digits(spec, negative ? 0 - static_cast<uint64_t>(value.integer)
                                                     : static_cast<uint64_t>(value.integer))
                             : RealDigits(spec, std::fabs(value.number()));
  if (spec.thousands) digits = WithThousands(digits);
  const std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  return Padded(spec, sign + digits, spec.zero ? '=' : '>');
}

std::string CutTo(std::string text, int64_t characters) {
  if (characters < 0 || CountCharacters(text) <= characters) return text;
  return Utf8(std::u32string_view(Characters(text)).substr(0, static_cast<size_t>(characters)));
}

// What stands behind the colon. False, after Fail.
bool ReadSpec(Run& run, absl::string_view text, Spec* spec) {
  const std::u32string characters = Characters(text.substr(0, 8));
  const auto is_align = [](char32_t c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  size_t at = 0;
  if (characters.size() > 1 && is_align(characters[1])) {
    spec->fill = Utf8(std::u32string_view(characters).substr(0, 1));
    spec->align = static_cast<char>(characters[1]);
    at = spec->fill.size() + 1;
  } else if (!characters.empty() && is_align(characters[0])) {
    spec->align = static_cast<char>(characters[0]);
    at = 1;
  }
  const auto next = [&](absl::string_view known) {
    return at < text.size() && absl::StrContains(known, text[at]) ? text[at++] : '\0';
  };
  if (const char sign = next("+- ")) spec->sign = sign;
  spec->alternate = next("#") != '\0';
  spec->zero = next("0") != '\0';
  if (spec->zero && spec->fill.empty()) spec->fill = "0";
  if (spec->fill.empty()) spec->fill = " ";
  spec->width = Number(run, text, &at, 0);
  spec->thousands = next(",") != '\0';
  if (next(".") != '\0') spec->precision = Number(run, text, &at, 0);
  spec->type = next("sdbxXoeEfFgG%");
  if (at == text.size()) return run.ok();
  run.Fail(absl::StrCat("Invalid format specifier '", text, "'"));
  return false;
}

Value Formatted(Run& run, const Value& value, absl::string_view source) {
  Spec spec;
  if (!ReadSpec(run, source, &spec)) return Value();
  // A bool is a word, unless a format is asked of it.
  const bool as_number =
      value.is_number() && spec.type != 's' && !(value.is(Kind::kBool) && source.empty());
  if (as_number &&
      !(value.is(Kind::kFloat) && absl::StrContains("dbxXo", spec.type) && spec.type != '\0'))
    return Value::String(NumberText(spec, value));
  if (spec.type != 's' && spec.type != '\0') {
    return run.Fail(absl::StrCat("Unknown format code '", std::string(1, spec.type),
                                 "' for object of type '", value.TypeName(), "'"));
  }
  return Value::String(Padded(spec, CutTo(value.Str(), spec.precision), '<'));
}

// One conversion of "%": `type` and what stands before it are in `spec`.
Value Converted(Run& run, const Value& value, const Spec& spec) {
  const char type = spec.type;
  if (type == 's' || type == 'r')
    return Value::String(
        Padded(spec, CutTo(type == 's' ? value.Str() : value.Repr(), spec.precision), '>'));
  if (type == 'c' && value.is_string() && CountCharacters(value.string()) == 1)
    return Value::String(Padded(spec, value.string(), '>'));
  if (!value.is_number()) {
    return run.Fail(absl::StrCat("%", std::string(1, type),
                                 " format: a real number is required, not ", value.TypeName()));
  }
  if (!absl::StrContains("dixXo", type)) return Value::String(NumberText(spec, value));
  if (value.is(Kind::kFloat) && absl::StrContains("xXo", type)) {
    return run.Fail(
        absl::StrCat("%", std::string(1, type), " format: an integer is required, not float"));
  }
  if (!(std::fabs(value.number()) < 9e18)) return run.Fail("the number is too large");
  const Value whole = value.is_whole() ? value : Value::Int(static_cast<int64_t>(value.real));
  return Value::String(NumberText(spec, whole));
}

}  // namespace

Value FormatBraces(Run& run, const std::string& text, const Arguments& arguments) {
  std::string result;
  size_t next = 0;
  for (size_t i = 0; i < text.size() && run.ok(); ++i) {
    const char c = text[i];
    if ((c == '{' || c == '}') && i + 1 < text.size() && text[i + 1] == c) {
      result.push_back(c);
      ++i;
      continue;
    }
    if (c == '}') return run.Fail("Single '}' encountered in format string");
    if (c != '{') {
      result.push_back(c);
      continue;
    }
    const size_t end = text.find('}', i);
    if (end == std::string::npos) return run.Fail("Single '{' encountered in format string");
    const std::string inside = text.substr(i + 1, end - i - 1);
    i = end;
    const size_t colon = std::min(inside.find(':'), inside.size());
    std::string field = inside.substr(0, colon);
    const bool repr = absl::EndsWith(field, "!r");
    if (repr || absl::EndsWith(field, "!s")) field.resize(field.size() - 2);
    const Value* value = nullptr;
    if (field.empty()) {
      value = arguments.Get(next++, "");
    } else if (field.find_first_not_of("0123456789") == std::string::npos && field.size() < 4) {
      value = arguments.Get(std::stoul(field), "");
    } else {
      value = arguments.Get(arguments.values.size(), field);
    }
    if (value == nullptr) return run.Fail(absl::StrCat("format has nothing for {", field, "}"));
    const Value made =
        Formatted(run, repr ? Value::String(value->Repr()) : *value,
                  absl::string_view(inside).substr(std::min(colon + 1, inside.size())));
    if (!run.ok() || !run.Charge(made.string().size())) return Value();
    result += made.string();
  }
  return run.Text(std::move(result));
}

Value FormatPercent(Run& run, const std::string& text, const Value& values) {
  const List items = values.is(Kind::kTuple) ? *values.list : List{values};
  size_t next = 0;
  bool by_name = false;
  std::string result;
  for (size_t i = 0; i < text.size() && run.ok(); ++i) {
    if (text[i] != '%') {
      result.push_back(text[i]);
      continue;
    }
    Spec spec;
    const Value* value = nullptr;
    ++i;
    if (i < text.size() && text[i] == '(') {
      const size_t close = text.find(')', i);
      if (close == std::string::npos) return run.Fail("incomplete format key");
      if (!values.is(Kind::kDict)) return run.Fail("format requires a mapping");
      const std::string name = text.substr(i + 1, close - i - 1);
      value = values.Find(name);
      if (value == nullptr) return run.Fail(StringRepr(name));
      by_name = true;
      i = close + 1;
    }
    for (; i < text.size() && absl::StrContains("-+ 0#", text[i]); ++i) {
      if (text[i] == '-') spec.align = '<';
      if (text[i] == '0') spec.zero = true;
      if (text[i] == '#') spec.alternate = true;
      if (text[i] == '+' || (text[i] == ' ' && spec.sign != '+')) spec.sign = text[i];
    }
    spec.width = Number(run, text, &i, 0);
    if (i < text.size() && text[i] == '.') {
      ++i;
      spec.precision = Number(run, text, &i, 0);
    }
    if (i >= text.size()) return run.Fail("incomplete format");
    spec.type = text[i];
    if (spec.type == '%') {
      result.push_back('%');
      continue;
    }
    if (!run.ok()) break;
    if (!absl::StrContains("srcdixXoeEfFgG", spec.type)) {
      return run.Fail(
          absl::StrCat("unsupported format character '", std::string(1, spec.type), "'"));
    }
    if (absl::StrContains("src", spec.type)) spec.zero = false;
    spec.fill = spec.zero && spec.align == '\0' ? "0" : " ";
    if (value == nullptr) {
      if (next == items.size()) return run.Fail("not enough arguments for format string");
      value = &items[next++];
    }
    const Value made = Converted(run, *value, spec);
    if (!run.ok() || !run.Charge(made.string().size())) return Value();
    result += made.string();
  }
  if (next < items.size() && !by_name && !values.is(Kind::kDict) && !values.is(Kind::kList) &&
      run.ok())
    return run.Fail("not all arguments converted during string formatting");
  return run.Text(std::move(result));
}

}  // namespace ponder::data::jinja
