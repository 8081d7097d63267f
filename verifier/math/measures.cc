// The policies for single values: percentages, units, roundings.
#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "verifier/math/equivalence.h"
#include "verifier/math/exact.h"
#include "verifier/math/units.h"

namespace ponder::verifier::math {
namespace {

constexpr int kLeastDigits = 6;  // of a decimal given for an exact gold
constexpr int kPrintedDouble =
    15;  // a gold with as many digits was printed by a program: its last one may be off
constexpr size_t kMaxLetters = 8;  // of a unit
constexpr absl::string_view kUnitLetters = "mgshLNJWVAK";

// A value without what stands around it.
struct Measure {
  const Node* value = nullptr;
  bool percent = false;
  bool degrees = false;
  std::optional<Unit> unit;  // a known one
};

Measure Peel(const Node& node) {
  Measure measure;
  measure.value = &node;
  if (node.kind == Kind::kPercent || node.kind == Kind::kDegree || node.kind == Kind::kQuantity)
    measure.value = node.children[0];
  measure.percent = node.kind == Kind::kPercent;
  measure.degrees = node.kind == Kind::kDegree;
  if (node.kind == Kind::kQuantity) measure.unit = ParseUnit(node.name);
  return measure;
}

// "10m" against a plain number is ten metres, not ten times m.
bool IsNumberAndUnitLetter(const Node& node) {
  return node.kind == Kind::kProduct && node.children.size() == 2 &&
         node.children[0]->kind == Kind::kNumber && node.children[1]->kind == Kind::kSymbol &&
         node.children[1]->name.size() == 1 &&
         kUnitLetters.find(node.children[1]->name[0]) != absl::string_view::npos;
}

// 5 m/s^2, written with letters: adds its unit to `unit` and its number to `value`. False if a
// symbol in it is no unit.
bool ReadLetters(const Node& node, int power, Arena* arena, const Node** value, Unit* unit,
                 bool* any) {
  if (node.kind == Kind::kSymbol) {
    const std::optional<Unit> one = ParseUnit(node.name);
    if (!one || std::abs(power) > 9) return false;
    for (size_t i = 0; i < unit->dimension.size(); ++i)
      unit->dimension[i] += power * one->dimension[i];
    unit->factor = unit->factor * one->factor.Power(power);
    *any = true;
    return true;
  }
  if (node.kind == Kind::kPower && node.children[1]->kind == Kind::kNumber &&
      node.children[0]->kind != Kind::kNumber) {
    const std::optional<long> exponent = node.children[1]->number.ToLong();
    if (!exponent || std::abs(*exponent) > 9) return false;
    return ReadLetters(*node.children[0], power * static_cast<int>(*exponent), arena, value, unit,
                       any);
  }
  if (node.kind == Kind::kProduct) {
    if (node.children.size() > kMaxLetters) return false;
    return std::all_of(node.children.begin(), node.children.end(), [&](const Node* child) {
      return ReadLetters(*child, power, arena, value, unit, any);
    });
  }
  if (!IsConstant(node)) return false;
  const Node* factor = power == 1 ? &node : arena->Power(&node, arena->Number(power));
  *value = *value == nullptr ? factor : arena->Product(*value, factor);
  return true;
}

bool IsInteger(const Node& node, Budget* budget) {
  Rational value;
  return ExactValue(node, budget, &value) == Exactness::kValue && value.IsInteger();
}

}  // namespace

// 50% is 1/2. Besides, where the gold is 50%, 50 is right, and where it is 50, 50% is: the question
// asked for percent.
Truth Equivalence::SameScalar(const Node& gold, const Node& answer) {
  const Truth same = SameMeasure(gold, answer);
  if (same == Truth::kYes) return same;
  const Measure g = Peel(gold), a = Peel(answer);
  if (g.percent != a.percent && !g.unit && !a.unit && !g.degrees && !a.degrees) {
    const Truth bare = SameUpToRounding(*g.value, *a.value);
    if (bare != Truth::kNo) return bare;
  }
  return same;
}

Truth Equivalence::SameMeasure(const Node& gold, const Node& answer) {
  Measure g = Peel(gold), a = Peel(answer);
  for (const auto& [measured, other] : {std::pair(&g, &a), std::pair(&a, &g)}) {
    if (!measured->unit || other->unit || IsConstant(*other->value)) continue;
    const Node* value = nullptr;
    Unit unit;
    bool any = false;
    if (!ReadLetters(*other->value, 1, &arena_, &value, &unit, &any) || !any || value == nullptr)
      continue;
    other->value = value;
    other->unit = unit;
  }
  if (g.unit && a.unit) {
    if (g.unit->dimension != a.unit->dimension) return Truth::kNo;
    if (g.unit->factor == a.unit->factor) return SameUpToRounding(*g.value, *a.value);
    return SameUpToRounding(*arena_.Product(g.value, arena_.Number(g.unit->factor)),
                            *arena_.Product(a.value, arena_.Number(a.unit->factor)));
  }
  if (g.degrees != a.degrees && !g.percent && !a.percent) {
    // 45 degrees: the same without the word; and pi/4.
    const Truth bare = SameUpToRounding(*g.value, *a.value);
    return bare != Truth::kNo ? bare : SameUpToRounding(gold, answer);
  }
  // In percent, so that a rounded gold stays recognizable: 33.3% is 1/3.
  if (g.percent && a.percent) return SameUpToRounding(*g.value, *a.value);
  if (g.percent) return SameUpToRounding(*g.value, *arena_.Product(arena_.Number(100), a.value));
  if (a.percent) return SameUpToRounding(*arena_.Product(arena_.Number(100), g.value), *a.value);
  if (IsConstant(*g.value) && IsNumberAndUnitLetter(*a.value))
    return SameUpToRounding(*g.value, *a.value->children[0]);
  if (IsConstant(*a.value) && IsNumberAndUnitLetter(*g.value))
    return SameUpToRounding(*g.value->children[0], *a.value);
  return SameUpToRounding(*g.value, *a.value);
}

Truth Equivalence::SameUpToRounding(const Node& gold, const Node& answer) {
  const Truth same = SameValue(gold, answer, &budget_);
  if (same == Truth::kYes || !IsConstant(gold) || !IsConstant(answer)) return same;
  DecimalForm asked, given;
  const bool gold_decimal = ReadDecimal(gold, &asked), answer_decimal = ReadDecimal(answer, &given);
  if (gold_decimal) {
    // The gold is a rounded number: what rounds to it is right. With two digits (0.33), only what
    // is clearly not rounded itself.
    const bool more_precise = !answer_decimal || given.half_unit < asked.half_unit;
    const bool unrounded = answer_decimal ? given.digits >= 4 : !IsInteger(answer, &budget_);
    if (!more_precise || asked.digits < 2 ||
        (asked.digits == 2 && (asked.decimals < 2 || !unrounded)) ||
        (!answer_decimal && IsInteger(answer, &budget_))) {
      return same;
    }
    const Rational slack =
        asked.digits >= kPrintedDouble ? asked.half_unit * Rational(4) : asked.half_unit;
    return Within(answer, asked.value, slack, &budget_);
  }
  if (answer_decimal && given.digits >= kLeastDigits && !IsInteger(gold, &budget_)) {
    return Within(gold, given.value, given.half_unit, &budget_);
  }
  return same;
}

}  // namespace ponder::verifier::math
