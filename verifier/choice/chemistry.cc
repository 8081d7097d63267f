#include "verifier/choice/chemistry.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace ponder::verifier::choice {
namespace {

constexpr size_t kMaxBytes = 1024;
constexpr absl::string_view kElements =
    " H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb "
    "Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm "
    "Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og ";

bool IsElement(absl::string_view symbol) {
  return absl::StrContains(kElements, absl::StrCat(" ", symbol, " "));
}

// Plain characters: subscripts as digits, superscripts after '^', arrows as "->".
std::string Plain(absl::string_view text) {
  std::string plain = absl::StrReplaceAll(text, {{"₀", "0"},
                                                 {"₁", "1"},
                                                 {"₂", "2"},
                                                 {"₃", "3"},
                                                 {"₄", "4"},
                                                 {"₅", "5"},
                                                 {"₆", "6"},
                                                 {"₇", "7"},
                                                 {"₈", "8"},
                                                 {"₉", "9"},
                                                 {"⁺", "^+"},
                                                 {"⁻", "^-"},
                                                 {"¹", "^1"},
                                                 {"²", "^2"},
                                                 {"³", "^3"},
                                                 {"⁴", "^4"},
                                                 {"−", "-"},
                                                 {"–", "-"},
                                                 {"→", "->"},
                                                 {"⟶", "->"},
                                                 {"⇌", "->"},
                                                 {"⇋", "->"},
                                                 {"\\longrightarrow", "->"},
                                                 {"\\rightarrow", "->"},
                                                 {"\\rightleftharpoons", "->"},
                                                 {"\\to", "->"},
                                                 {"<=>", "->"},
                                                 {"<->", "->"},
                                                 {"-->", "->"},
                                                 {"\\ce", ""},
                                                 {"\\cdot", "·"},
                                                 {"•", "·"},
                                                 {"\\,", ""},
                                                 {"{", ""},
                                                 {"}", ""},
                                                 {"_", ""},
                                                 {"$", ""},
                                                 {"\\", ""}});
  absl::StrReplaceAll({{" · ", "·"}, {" ·", "·"}, {"· ", "·"}}, &plain);
  return std::string(absl::StripAsciiWhitespace(plain));
}

// One species without its coefficient, spelled in one way. nullopt: none.
class SpeciesReader {
 public:
  explicit SpeciesReader(absl::string_view text) : rest_(text) {}

  std::optional<std::string> Read() {
    DropState();
    if (rest_ == "e-" || rest_ == "e^-") return "e^-1";
    const std::string charge = TakeCharge();
    int depth = 0;
    bool any = false;
    while (!rest_.empty()) {
      if (absl::ConsumePrefix(&rest_, "·") || (any && absl::ConsumePrefix(&rest_, "*"))) {
        absl::StrAppend(&out_, "·", Digits());
        any = false;
      } else if (rest_[0] == '(' || rest_[0] == '[') {
        ++depth;
        out_.push_back('(');
        rest_.remove_prefix(1);
      } else if (rest_[0] == ')' || rest_[0] == ']') {
        if (--depth < 0 || absl::EndsWith(out_, "(")) return std::nullopt;
        rest_.remove_prefix(1);
        absl::StrAppend(&out_, ")", Digits());
      } else if (absl::ascii_isupper(rest_[0])) {
        size_t length = rest_.size() > 1 && absl::ascii_islower(rest_[1]) ? 2 : 1;
        if (!IsElement(rest_.substr(0, length))) return std::nullopt;
        absl::StrAppend(&out_, rest_.substr(0, length), " ");
        rest_.remove_prefix(length);
        absl::StrAppend(&out_, Digits());
        any = true;
        ++atoms_;
      } else {
        return std::nullopt;
      }
    }
    if (depth != 0 || !any) {
      if (depth != 0 || !absl::EndsWith(out_, ")")) return std::nullopt;
    }
    return out_ + charge;
  }

 private:
  void DropState() {
    for (const absl::string_view state : {"(s)", "(l)", "(g)", "(aq)"}) {
      if (absl::ConsumeSuffix(&rest_, state)) break;
    }
    rest_ = absl::StripAsciiWhitespace(rest_);
  }
  // Digits after an element or group, where 1 says nothing.
  std::string Digits() {
    size_t n = 0;
    while (n < rest_.size() && absl::ascii_isdigit(rest_[n])) ++n;
    const absl::string_view digits = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return digits == "1" ? "" : std::string(digits);
  }
  // A charge at the end: ^2-, ^-2, 2- after a space, Fe3+, NH4+, SO42-.
  std::string TakeCharge() {
    const size_t caret = rest_.find('^');
    if (caret != absl::string_view::npos) {
      std::string charge = absl::StrReplaceAll(rest_.substr(caret), {{"^", ""}, {" ", ""}});
      rest_ = absl::StripTrailingAsciiWhitespace(rest_.substr(0, caret));
      return Charge(charge);
    }
    if (rest_.size() < 2 || (rest_.back() != '+' && rest_.back() != '-')) return "";
    size_t from = rest_.size() - 1;
    const size_t space = rest_.rfind(' ');
    if (space != absl::string_view::npos) {
      from = space + 1;
    } else {
      size_t digits = 0;
      while (digits < from && absl::ascii_isdigit(rest_[from - 1 - digits])) ++digits;
      // One digit is a charge after a lone element, a count after several; of more the last is one.
      size_t letters = 0;
      for (const char c : rest_) letters += absl::ascii_isupper(c);
      if (digits > 1 || (digits == 1 && letters == 1 && rest_[0] != '(' && rest_[0] != '[')) --from;
    }
    const std::string charge = Charge(std::string(rest_.substr(from)));
    rest_ = absl::StripTrailingAsciiWhitespace(rest_.substr(0, from));
    return charge;
  }
  // "2-", "-2", "+" as "^-2", "^+1"; "^?" for what is no charge, which equals no other.
  static std::string Charge(absl::string_view text) {
    if (text.empty()) return "^?";
    char sign = text.back();
    absl::string_view digits = text.substr(0, text.size() - 1);
    if (text[0] == '+' || text[0] == '-') {
      sign = text[0];
      digits = text.substr(1);
    }
    int value = 1;
    if ((sign != '+' && sign != '-') || (!digits.empty() && !absl::SimpleAtoi(digits, &value)))
      return absl::StrCat("^?", text);
    return absl::StrCat("^", std::string(1, sign), value);
  }

  absl::string_view rest_;
  std::string out_;
  int atoms_ = 0;
};

using Ratio = std::pair<int64_t, int64_t>;  // numerator, denominator
using Side = std::map<std::string, Ratio>;  // species and its coefficient
using Equation = std::pair<Side, Side>;

Ratio Add(Ratio a, Ratio b) {
  return {a.first * b.second + b.first * a.second, a.second * b.second};
}

// "3", "1/2" or "" off the front. False: not a positive number of a bearable size.
bool EatCoefficient(absl::string_view* text, Ratio* ratio) {
  *ratio = {1, 1};
  for (int64_t* part : {&ratio->first, &ratio->second}) {
    size_t n = 0;
    while (n < text->size() && absl::ascii_isdigit((*text)[n])) ++n;
    if (n == 0) return part == &ratio->first;
    if (n > 4 || !absl::SimpleAtoi(text->substr(0, n), part) || *part == 0) return false;
    text->remove_prefix(n);
    if (part == &ratio->first && !absl::ConsumePrefix(text, "/")) break;
  }
  *text = absl::StripLeadingAsciiWhitespace(*text);
  return true;
}

std::optional<Side> ReadSide(absl::string_view text) {
  std::vector<std::string> terms;
  if (absl::StrContains(text, " + ")) {
    terms = absl::StrSplit(text, " + ");
  } else {
    // Without spaces a plus joins, but for one after '^' or at the end.
    terms.emplace_back();
    for (size_t i = 0; i < text.size(); ++i) {
      const bool charge = i + 1 == text.size() || (i > 0 && text[i - 1] == '^') ||
                          (i > 1 && absl::ascii_isdigit(text[i - 1]) && text[i - 2] == '^');
      if (text[i] == '+' && !charge) {
        terms.emplace_back();
      } else {
        terms.back().push_back(text[i]);
      }
    }
  }
  Side side;
  if (terms.size() > 16) return std::nullopt;
  for (const std::string& term : terms) {
    absl::string_view rest = absl::StripAsciiWhitespace(term);
    Ratio coefficient;
    if (!EatCoefficient(&rest, &coefficient)) return std::nullopt;
    const std::optional<std::string> species = SpeciesReader(rest).Read();
    if (!species) return std::nullopt;
    const auto [place, is_new] = side.emplace(*species, coefficient);
    // Coefficients have up to four digits, so that a few of them can be added.
    if (!is_new) place->second = Add(place->second, coefficient);
    if (place->second.first > 100'000'000 || place->second.second > 100'000'000)
      return std::nullopt;
  }
  return side;
}

std::optional<Equation> ReadEquation(absl::string_view text) {
  if (text.size() > kMaxBytes) return std::nullopt;
  const std::string plain = Plain(text);
  const char* arrow = absl::StrContains(plain, "->") ? "->" : "=";
  const std::vector<std::string> sides = absl::StrSplit(plain, arrow);
  if (sides.size() != 2) return std::nullopt;
  std::optional<Side> left = ReadSide(absl::StripAsciiWhitespace(sides[0])),
                      right = ReadSide(absl::StripAsciiWhitespace(sides[1]));
  if (!left || !right) return std::nullopt;
  return Equation(*std::move(left), *std::move(right));
}

std::optional<std::string> ReadFormula(absl::string_view text) {
  if (text.size() > kMaxBytes) return std::nullopt;
  const std::string plain = Plain(text);
  return SpeciesReader(plain).Read();
}

bool SameRatio(const Ratio& a, const Ratio& b, const Ratio& c, const Ratio& d) {
  // a / b == c / d
  using Wide = __int128;
  return Wide(a.first) * b.second * c.second * d.first ==
         Wide(a.second) * b.first * c.first * d.second;
}

}  // namespace

Chemistry KindOfChemistry(absl::string_view gold) {
  const std::optional<Equation> equation = ReadEquation(gold);
  if (equation && (absl::StrContains(Plain(gold), "->") || absl::StrContains(gold, "+")))
    return Chemistry::kEquation;
  const std::string plain = Plain(gold);
  if (plain == "NO" || plain.size() < 2 || !ReadFormula(gold)) return Chemistry::kNone;
  size_t capitals = 0;
  for (const char c : plain) capitals += absl::ascii_isupper(c);
  const bool marked = plain.find_first_of("0123456789^+-([") != std::string::npos;
  return capitals >= 2 || marked ? Chemistry::kFormula : Chemistry::kNone;
}

bool IsReadable(Chemistry kind, absl::string_view answer) {
  return kind == Chemistry::kEquation ? ReadEquation(answer).has_value()
                                      : ReadFormula(answer).has_value();
}

bool SameFormula(absl::string_view gold, absl::string_view answer) {
  const std::optional<std::string> g = ReadFormula(gold), a = ReadFormula(answer);
  return g && a && *g == *a;
}

bool SameEquation(absl::string_view gold, absl::string_view answer) {
  const std::optional<Equation> g = ReadEquation(gold), a = ReadEquation(answer);
  if (!g || !a || g->first.size() != a->first.size() || g->second.size() != a->second.size())
    return false;
  const Ratio& gold_unit = g->first.begin()->second;
  const Ratio& answer_unit = a->first.begin()->second;
  for (const auto& [asked, given] :
       {std::pair(&g->first, &a->first), std::pair(&g->second, &a->second)}) {
    for (const auto& [species, coefficient] : *asked) {
      const auto found = given->find(species);
      if (found == given->end() || !SameRatio(coefficient, gold_unit, found->second, answer_unit))
        return false;
    }
  }
  return true;
}

}  // namespace ponder::verifier::choice
