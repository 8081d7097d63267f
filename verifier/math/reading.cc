#include "verifier/math/reading.h"

#include <algorithm>
#include <optional>

#include "verifier/math/scalar.h"

namespace ponder::verifier::math {
namespace {

// Something that gets a value, rather than one: a variable, f(x), NO/BO, A:B, (p, q), \sin x; not x
// + y.
bool IsName(const Node& node) {
  const auto all_children = [&node] {
    return std::all_of(node.children.begin(), node.children.end(),
                       [](const Node* child) { return IsName(*child); });
  };
  switch (node.kind) {
    case Kind::kSymbol:
    case Kind::kApply:
    case Kind::kUnevaluated:
      return true;
    case Kind::kTuple:
    case Kind::kRatio:
    case Kind::kProduct:
      return all_children();
    case Kind::kFunction:
      return all_children() && node.function != Function::kFactorial &&
             node.function != Function::kBinomial;
    case Kind::kPower:
      return IsName(*node.children[0]) && node.children[1]->kind == Kind::kNumber;
    case Kind::kE:  // 7p + 4e
      return true;
    default:
      return false;
  }
}

// f(1) + f(2), \lim x: spelled, not evaluated.
bool IsLabel(const Node& node) {
  return Contains(node, Kind::kApply) || Contains(node, Kind::kUnevaluated);
}

bool IsRounding(const Node& exact, const Node& approximation, Budget* budget) {
  DecimalForm form;
  if (ReadDecimal(approximation, &form))
    return Within(exact, form.value, form.half_unit, budget) == Truth::kYes;
  if (approximation.kind != Kind::kNumber || !IsScalar(exact)) return false;
  return Within(exact, approximation.number, Rational(1, 2), budget) == Truth::kYes &&
         exact.kind != Kind::kNumber;
}

}  // namespace

bool ReadDecimal(const Node& node, DecimalForm* form) {
  if (node.kind == Kind::kNumber && node.decimal) {
    form->value = node.number;
    form->digits = node.digits;
    form->decimals = node.decimals;
    form->half_unit = Rational::PowerOfTen(-node.decimals) * Rational(1, 2);
    form->scientific = false;
    return true;
  }
  // m * 10^k
  if (node.kind != Kind::kProduct || node.children.size() != 2) return false;
  const Node& mantissa = *node.children[0];
  const Node& power = *node.children[1];
  if (mantissa.kind == Kind::kNumber && mantissa.number == Rational(-1)) {
    if (!ReadDecimal(power, form)) return false;
    form->value = -form->value;
    return true;
  }
  if (mantissa.kind != Kind::kNumber || power.kind != Kind::kPower ||
      power.children[0]->kind != Kind::kNumber || power.children[0]->number != Rational(10) ||
      power.children[1]->kind != Kind::kNumber || (!mantissa.decimal && !mantissa.alone)) {
    return false;
  }
  const std::optional<long> exponent = power.children[1]->number.ToLong();
  if (!exponent || std::abs(*exponent) > kMaxBits / 4) return false;
  const Rational scale = Rational::PowerOfTen(*exponent);
  const int decimals = mantissa.decimal ? mantissa.decimals : 0;
  form->value = mantissa.number * scale;
  form->digits = mantissa.digits;
  form->decimals = decimals;
  form->half_unit = Rational::PowerOfTen(-decimals) * scale * Rational(1, 2);
  form->scientific = true;
  return true;
}

Reading Read(const Node& node, Budget* budget) {
  Reading reading;
  if (node.kind != Kind::kRelation || node.name.find_first_not_of("=~i") != std::string::npos) {
    reading.value = &node;
    return reading;
  }
  if (node.name.find('i') != std::string::npos) {
    // x in {1, 2}
    if (node.name == "i" && IsName(*node.children[0])) {
      reading.name = CanonicalText(*node.children[0]);
      reading.value = node.children[1];
    }
    return reading;
  }
  if (node.children.size() == 2) {
    reading.left = node.children[0];
    reading.right = node.children[1];
  }
  // What comes after names: these must agree.
  size_t first = 0;
  while (first + 1 < node.children.size() &&
         (IsName(*node.children[first]) || IsLabel(*node.children[first])))
    ++first;
  if (first > 0) reading.name = CanonicalText(*node.children[0]);
  size_t last = node.children.size() - 1;
  if (first == 0 && last == 1 && node.children[1]->kind == Kind::kSymbol &&
      IsConstant(*node.children[0])) {
    reading.name = CanonicalText(*node.children[1]);  // 5 = x
    reading.value = node.children[0];
    return reading;
  }
  const Node* value = node.children[last];
  // Rounded values at the end of a chain: the exact one counts.
  while (last > first) {
    const Node& before = *node.children[last - 1];
    const bool approximate = node.name[last - 1] == '~';
    if (!approximate && IsScalar(before) && IsScalar(*node.children[last]) &&
        SameValue(before, *node.children[last], budget) == Truth::kYes) {
      value = &before;
    } else if (IsRounding(before, *node.children[last], budget)) {
      value = &before;
    } else if (!approximate && !IsScalar(before) &&
               CanonicalText(before) == CanonicalText(*node.children[last])) {
      value = &before;
    } else {
      return reading;  // 27 = 28, or x^2 = 4
    }
    --last;
  }
  reading.value = value;
  return reading;
}

}  // namespace ponder::verifier::math
