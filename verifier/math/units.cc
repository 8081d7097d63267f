#include "verifier/math/units.h"

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "verifier/math/names.h"

namespace ponder::verifier::math {
namespace {

constexpr int kMaxWords = 12;

enum Base { kMetre, kKilogram, kSecond, kAmpere, kKelvin, kMole, kDollar, kByte, kOwn };

Unit Of(std::initializer_list<std::pair<Base, int>> dimension, Rational factor) {
  Unit unit;
  for (const auto& [base, power] : dimension) unit.dimension[base] = power;
  unit.factor = std::move(factor);
  return unit;
}

using Table = absl::flat_hash_map<std::string, Unit>;

void Add(Table* table, std::initializer_list<const char*> names, const Unit& unit) {
  for (const char* name : names) (*table)[name] = unit;
}

// Metric units by symbol, and by name; each with its prefixes.
void AddMetric(Table* table, const char* symbol, const char* name, const Unit& unit) {
  static constexpr struct {
    const char* symbol;
    const char* name;
    int power;
  } kPrefixes[] = {{"", "", 0},        {"k", "kilo", 3},   {"M", "mega", 6},   {"G", "giga", 9},
                   {"T", "tera", 12},  {"h", "hecto", 2},  {"da", "deca", 1},  {"d", "deci", -1},
                   {"c", "centi", -2}, {"m", "milli", -3}, {"u", "micro", -6}, {"n", "nano", -9},
                   {"p", "pico", -12}};
  for (const auto& prefix : kPrefixes) {
    Unit scaled = unit;
    scaled.factor = unit.factor * Rational::PowerOfTen(prefix.power);
    table->try_emplace(std::string(prefix.symbol) + symbol, scaled);
    table->try_emplace(std::string(prefix.name) + name, scaled);
    table->try_emplace(std::string(prefix.name) + name + "s", scaled);
  }
}

const Table& Units() {
  static const Table* table = [] {
    auto* t = new Table;
    const Rational inch(254, 10000);
    const Unit metre = Of({{kMetre, 1}}, 1), kilogram = Of({{kKilogram, 1}}, 1);
    Add(t, {"s", "sec", "secs", "second", "seconds"}, Of({{kSecond, 1}}, 1));
    Add(t, {"min", "mins", "minute", "minutes"}, Of({{kSecond, 1}}, 60));
    Add(t, {"h", "hr", "hrs", "hour", "hours"}, Of({{kSecond, 1}}, 3600));
    Add(t, {"day", "days"}, Of({{kSecond, 1}}, 86400));
    Add(t, {"week", "weeks", "wk", "wks"}, Of({{kSecond, 1}}, 604800));
    Add(t, {"month", "months"}, Of({{kOwn, 1}}, 1));
    Add(t, {"year", "years", "yr", "yrs"}, Of({{kOwn, 1}}, 12));
    Add(t, {"in", "inch", "inches"}, Of({{kMetre, 1}}, inch));
    Add(t, {"ft", "foot", "feet"}, Of({{kMetre, 1}}, inch * 12));
    Add(t, {"yd", "yds", "yard", "yards"}, Of({{kMetre, 1}}, inch * 36));
    Add(t, {"mi", "mile", "miles"}, Of({{kMetre, 1}}, inch * 63360));
    Add(t, {"lb", "lbs", "pound", "pounds"}, Of({{kKilogram, 1}}, Rational(45359237, 100000000)));
    Add(t, {"oz", "ounce", "ounces"}, Of({{kKilogram, 1}}, Rational(45359237, 1600000000)));
    Add(t, {"ton", "tons", "tonne", "tonnes"}, Of({{kKilogram, 1}}, 1000));
    Add(t, {"acre", "acres"}, Of({{kMetre, 2}}, inch * inch * Rational(6272640)));
    Add(t, {"gal", "gallon", "gallons"}, Of({{kMetre, 3}}, inch * inch * inch * Rational(231)));
    Add(t, {"quart", "quarts"}, Of({{kMetre, 3}}, inch * inch * inch * Rational(231, 4)));
    Add(t, {"pint", "pints"}, Of({{kMetre, 3}}, inch * inch * inch * Rational(231, 8)));
    Add(t, {"mph"}, Of({{kMetre, 1}, {kSecond, -1}}, inch * 63360 * Rational(1, 3600)));
    Add(t, {"kph", "kmh", "kmph"}, Of({{kMetre, 1}, {kSecond, -1}}, Rational(1000, 3600)));
    Add(t, {"dollar", "dollars", "usd", "USD"}, Of({{kDollar, 1}}, 1));
    Add(t, {"cent", "cents"}, Of({{kDollar, 1}}, Rational(1, 100)));
    Add(t, {"C", "celsius", "Celsius"}, Of({{kOwn, 2}}, 1));
    Add(t, {"F", "fahrenheit", "Fahrenheit"}, Of({{kOwn, 3}}, 1));
    Add(t, {"K", "kelvin", "kelvins"}, Of({{kKelvin, 1}}, 1));
    Add(t, {"rpm"}, Of({{kSecond, -1}}, Rational(1, 60)));
    Add(t, {"dozen", "dozens"}, Of({}, 12));
    AddMetric(t, "m", "meter", metre);
    AddMetric(t, "m", "metre", metre);
    AddMetric(t, "g", "gram", Of({{kKilogram, 1}}, Rational(1, 1000)));
    AddMetric(t, "s", "second", Of({{kSecond, 1}}, 1));
    AddMetric(t, "L", "liter", Of({{kMetre, 3}}, Rational(1, 1000)));
    AddMetric(t, "l", "litre", Of({{kMetre, 3}}, Rational(1, 1000)));
    AddMetric(t, "N", "newton", Of({{kKilogram, 1}, {kMetre, 1}, {kSecond, -2}}, 1));
    AddMetric(t, "J", "joule", Of({{kKilogram, 1}, {kMetre, 2}, {kSecond, -2}}, 1));
    AddMetric(t, "W", "watt", Of({{kKilogram, 1}, {kMetre, 2}, {kSecond, -3}}, 1));
    AddMetric(t, "V", "volt", Of({{kKilogram, 1}, {kMetre, 2}, {kSecond, -3}, {kAmpere, -1}}, 1));
    AddMetric(t, "A", "ampere", Of({{kAmpere, 1}}, 1));
    AddMetric(t, "Pa", "pascal", Of({{kKilogram, 1}, {kMetre, -1}, {kSecond, -2}}, 1));
    AddMetric(t, "Hz", "hertz", Of({{kSecond, -1}}, 1));
    AddMetric(t, "mol", "mole", Of({{kMole, 1}}, 1));
    AddMetric(t, "B", "byte", Of({{kByte, 1}}, 1));
    return t;
  }();
  return *table;
}

// Reads "cm^2", "square feet", "sq. in" off the front; each word is one unit, to the power that
// stands by it.
class Reader {
 public:
  explicit Reader(absl::string_view text) : text_(text) {}

  std::optional<Unit> Run() {
    Unit made;
    int sign = 1;
    bool any = false;
    for (int words = 0; Skip(); ++words) {
      if (words == kMaxWords) return std::nullopt;
      if (Eat("/") || EatWord("per")) {
        sign = -1;
        continue;
      }
      if (Eat("*") || Eat("-")) continue;
      int power = EatWord("square") || EatWord("sq")  ? 2
                  : EatWord("cubic") || EatWord("cu") ? 3
                                                      : 1;
      Eat(".");
      Skip();
      const auto found = Units().find(Word());
      if (found == Units().end()) return std::nullopt;
      if (Eat("^")) {
        size_t end = !text_.empty() && text_[0] == '-';
        while (end < text_.size() && absl::ascii_isdigit(text_[end])) ++end;
        if (!absl::SimpleAtoi(text_.substr(0, end), &power) || power < -9 || power > 9)
          return std::nullopt;
        text_.remove_prefix(end);
      }
      power *= sign;
      for (size_t i = 0; i < made.dimension.size(); ++i)
        made.dimension[i] += power * found->second.dimension[i];
      made.factor = made.factor * found->second.factor.Power(power);
      any = true;
    }
    return any ? std::optional<Unit>(made) : std::nullopt;
  }

 private:
  bool Skip() {
    text_ = absl::StripAsciiWhitespace(text_);
    if (absl::EndsWith(text_, ".")) text_.remove_suffix(1);
    return !text_.empty();
  }
  bool Eat(absl::string_view wanted) {
    if (!absl::StartsWith(text_, wanted)) return false;
    text_.remove_prefix(wanted.size());
    return true;
  }
  absl::string_view PeekWord() const {
    size_t end = 0;
    while (end < text_.size() && absl::ascii_isalpha(text_[end])) ++end;
    return text_.substr(0, end);
  }
  bool EatWord(absl::string_view wanted) { return PeekWord() == wanted && Eat(wanted); }
  std::string Word() {
    const std::string word(PeekWord());
    text_.remove_prefix(word.size());
    return word;
  }

  absl::string_view text_;
};

}  // namespace

std::optional<Unit> ParseUnit(absl::string_view text) { return Reader(text).Run(); }

bool IsUnitWord(absl::string_view word) {
  return word == "square" || word == "sq" || word == "cubic" || word == "per" ||
         MagnitudeNamed(word).has_value() || Units().contains(word);
}

}  // namespace ponder::verifier::math
