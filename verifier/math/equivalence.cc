#include "verifier/math/equivalence.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "verifier/math/exact.h"
#include "verifier/math/polynomial.h"
#include "verifier/math/real_set.h"

namespace ponder::verifier::math {
namespace {

bool HasConstantEnds(const RealSet& set) {
  return std::all_of(set.begin(), set.end(),
                     [](const Interval& i) { return IsConstant(*i.low) && IsConstant(*i.high); });
}

// An inequality whose links are none of "=", "in", "approximately".
bool IsOrderChain(const Node& node) {
  return node.kind == Kind::kRelation && node.name.find_first_of("=i~") == std::string::npos;
}

}  // namespace

const Node* Equivalence::WithSign(const Node& node, int sign) {
  if (!Contains(node, Kind::kPlusMinus)) return &node;
  if (node.kind == Kind::kPlusMinus) {
    const Node* inner = WithSign(*node.children[0], sign);
    return (node.name == "+") == (sign > 0) ? inner : arena_.Negate(inner);
  }
  Node copy = node;
  for (const Node*& child : copy.children) child = WithSign(*child, sign);
  return arena_.Keep(std::move(copy));
}

const Node* Equivalence::Expanded(const Node& node) {
  if (!Contains(node, Kind::kPlusMinus)) return &node;
  if (node.kind != Kind::kList && node.kind != Kind::kSet) {
    return arena_.Make(Kind::kList, {WithSign(node, 1), WithSign(node, -1)}, "or");
  }
  Nodes items;
  for (const Node* child : node.children) {
    const Node* one = Expanded(*child);
    if (one != child && one->kind == Kind::kList) {
      items.insert(items.end(), one->children.begin(), one->children.end());
    } else {
      items.push_back(one);
    }
  }
  return arena_.Make(node.kind, std::move(items), node.name);
}

Truth Equivalence::Same(const Node& gold, const Node& answer) {
  // Of k\pi, k \in \mathbb{Z} the condition need not be repeated.
  const Node* general_gold = Unconditioned(gold);
  const Node* general_answer = Unconditioned(answer);
  if ((general_gold == nullptr) != (general_answer == nullptr)) {
    return Same(general_gold != nullptr ? *general_gold : gold,
                general_answer != nullptr ? *general_answer : answer);
  }
  const Truth same = SameItem(*Expanded(gold), *Expanded(answer));
  if (same != Truth::kNo) return same;
  // 2,74 may be one number.
  if (gold.alternative != nullptr && IsScalar(answer)) return SameItem(*gold.alternative, answer);
  if (answer.alternative != nullptr && IsScalar(gold)) return SameItem(gold, *answer.alternative);
  // I may be the imaginary unit, where the other side doesn't know it.
  const Node* complex_gold = WithImaginaryUnit(gold);
  const Node* complex_answer = WithImaginaryUnit(answer);
  if ((complex_gold == nullptr) != (complex_answer == nullptr)) {
    return SameItem(*Expanded(complex_gold != nullptr ? *complex_gold : gold),
                    *Expanded(complex_answer != nullptr ? *complex_answer : answer));
  }
  return same;
}

const Node* Equivalence::Unconditioned(const Node& node) {
  if (node.kind != Kind::kList || node.children.size() < 2) return nullptr;
  const Node& last = *node.children.back();
  const bool condition = last.kind == Kind::kRelation && last.name == "i" &&
                         last.children[0]->kind == Kind::kSymbol &&
                         last.children[1]->kind == Kind::kNamedSet && last.children[1]->name == "Z";
  if (!condition) return nullptr;
  if (node.children.size() == 2) return node.children[0];
  return arena_.Make(Kind::kList, Nodes(node.children.begin(), node.children.end() - 1), node.name);
}

const Node* Equivalence::WithImaginaryUnit(const Node& node) {
  if (node.kind == Kind::kSymbol && node.name == "I") return arena_.Leaf(Kind::kI);
  Node copy = node;
  bool changed = false;
  for (const Node*& child : copy.children) {
    if (const Node* unit = WithImaginaryUnit(*child)) {
      child = unit;
      changed = true;
    }
  }
  return changed ? arena_.Keep(std::move(copy)) : nullptr;
}

Truth Equivalence::SameItem(const Node& gold, const Node& answer) {
  if (!budget_.Spend(200)) return Truth::kUnknown;
  if (++depth_ > kMaxDepth) return Truth::kUnknown;
  const Reading g = Read(gold, &budget_), a = Read(answer, &budget_);
  Truth same = Truth::kNo;
  if (g.value != nullptr && a.value != nullptr) same = SameValues(*g.value, *a.value);
  // Equations are the same if they are multiples of each other; but a solved one asks for a solved
  // one.
  const bool asked_for_equation = g.value == nullptr || !IsConstant(*g.value);
  if (same == Truth::kNo && asked_for_equation && g.left != nullptr && a.left != nullptr)
    same = SameEquation(g, a);
  --depth_;
  return same;
}

Truth Equivalence::SameEquation(const Reading& gold, const Reading& answer) {
  for (const Node* side : {gold.left, gold.right, answer.left, answer.right}) {
    if (!IsScalar(*side)) return Truth::kNo;
  }
  const Node* left = arena_.Sum(gold.left, arena_.Product(arena_.Number(-1), gold.right));
  const Node* right = arena_.Sum(answer.left, arena_.Product(arena_.Number(-1), answer.right));
  const std::optional<bool> same = Proportional(*left, *right, &budget_);
  if (same.has_value()) return TruthOf(*same);
  // Transcendental: side by side.
  const Truth straight = And(SameValue(*gold.left, *answer.left, &budget_),
                             SameValue(*gold.right, *answer.right, &budget_));
  if (straight != Truth::kNo) return straight;
  return And(SameValue(*gold.left, *answer.right, &budget_),
             SameValue(*gold.right, *answer.left, &budget_));
}

// Chains such as x + y < 3 or f(2) < f(1) < f(4), which aren't sets of numbers.
Truth Equivalence::SameInequality(const Node& gold, const Node& answer) {
  if (gold.children.size() != answer.children.size()) return Truth::kNo;
  for (const bool turned : {false, true}) {
    Truth all = Truth::kYes;
    const size_t n = gold.children.size();
    for (size_t i = 0; i < n && all != Truth::kNo; ++i) {
      all = And(all, SameValues(*gold.children[i], *answer.children[turned ? n - 1 - i : i]));
    }
    std::string links = answer.name;
    if (turned) {
      std::reverse(links.begin(), links.end());
      for (char& link : links)
        link = link == '<' ? '>' : link == '>' ? '<' : link == 'l' ? 'g' : link == 'g' ? 'l' : link;
    }
    if (all != Truth::kNo && links == gold.name) return all;
  }
  if (gold.children.size() != 2 || !IsScalar(*gold.children[0]) || !IsScalar(*gold.children[1]) ||
      !IsScalar(*answer.children[0]) || !IsScalar(*answer.children[1]) ||
      IsRealSetOnly(gold) == false) {
    return Truth::kNo;
  }
  // a - b < 0, up to a factor.
  const Node* left =
      arena_.Sum(gold.children[0], arena_.Product(arena_.Number(-1), gold.children[1]));
  const Node* right =
      arena_.Sum(answer.children[0], arena_.Product(arena_.Number(-1), answer.children[1]));
  int sign = 0;
  if (Proportional(*left, *right, &budget_, &sign) != std::optional<bool>(true)) return Truth::kNo;
  char link = answer.name[0];
  if (sign < 0)
    link = link == '<' ? '>' : link == '>' ? '<' : link == 'l' ? 'g' : link == 'g' ? 'l' : link;
  return TruthOf(link == gold.name[0]);
}

Truth Equivalence::SameValues(const Node& gold_node, const Node& answer_node) {
  const Node& gold = *Folded(gold_node);
  const Node& answer = *Folded(answer_node);
  if (IsScalar(gold) && IsScalar(answer)) return SameScalar(gold, answer);
  if (IsRealSetOnly(gold) || IsRealSetOnly(answer)) {
    const std::optional<RealSet> a = ToRealSet(gold, &arena_, &budget_),
                                 b = ToRealSet(answer, &arena_, &budget_);
    // With variables on both sides, which one is bounded matters.
    if (IsOrderChain(gold) && IsOrderChain(answer) && !(a && HasConstantEnds(*a)))
      return SameInequality(gold, answer);
    if (a && b) return SameRealSet(*a, *b, &budget_);
    if (a && HasConstantEnds(*a)) return Truth::kNo;  // it must be solved
    if (IsOrderChain(gold) && IsOrderChain(answer)) return SameInequality(gold, answer);
    if (gold.kind == answer.kind && CanonicalText(gold) == CanonicalText(answer))
      return Truth::kYes;
    return Truth::kNo;
  }
  if (gold.kind == Kind::kRelation || answer.kind == Kind::kRelation) return Truth::kNo;
  const auto unordered = [](const Node& node) {
    return node.kind == Kind::kList || node.kind == Kind::kSet;
  };
  // One element stands for itself.
  if (unordered(gold) && gold.children.size() == 1) return SameItem(*gold.children[0], answer);
  if (unordered(answer) && answer.children.size() == 1) return SameItem(gold, *answer.children[0]);
  if (unordered(gold) && unordered(answer)) return SameUnordered(gold, answer);
  if (gold.kind == Kind::kTuple && answer.kind == Kind::kTuple) {
    const size_t n = gold.children.size();
    if (n != answer.children.size() || (n == 2 && gold.name != answer.name)) return Truth::kNo;
    return SameInOrder(gold.children, answer.children);
  }
  if (gold.kind == Kind::kTuple && answer.kind == Kind::kList)
    return SameTupleAndList(gold, answer, true);
  if (gold.kind == Kind::kList && answer.kind == Kind::kTuple)
    return SameTupleAndList(answer, gold, false);
  if (gold.kind == Kind::kMatrix || answer.kind == Kind::kMatrix) {
    // (1, 2) is a row as well as a column.
    const bool row = gold.kind == Kind::kMatrix ? gold.rows == 1 : answer.rows == 1;
    if (row && (gold.kind == Kind::kTuple || answer.kind == Kind::kTuple))
      return SameInOrder(gold.children, answer.children);
    const Node* a = AsMatrix(gold);
    const Node* b = AsMatrix(answer);
    return a != nullptr && b != nullptr ? SameMatrix(*a, *b) : Truth::kNo;
  }
  if (gold.kind == Kind::kTime && answer.kind == Kind::kTime) return SameTime(gold, answer);
  const auto ratio = [](const Node& node) {
    return node.kind == Kind::kRatio || node.kind == Kind::kTime;
  };
  if (ratio(gold) || ratio(answer)) return SameRatio(gold, answer);
  if (gold.kind == answer.kind && CanonicalText(gold) == CanonicalText(answer)) return Truth::kYes;
  return Truth::kNo;
}

// 1:4 is 2:8, and one quarter.
Truth Equivalence::SameRatio(const Node& gold, const Node& answer) {
  const auto is_ratio = [](const Node& node) {
    return node.kind == Kind::kRatio || node.kind == Kind::kTime;
  };
  if (is_ratio(gold) && is_ratio(answer)) {
    const size_t n = gold.children.size();
    if (n != answer.children.size()) return Truth::kNo;
    // 0:1 is no multiple of 0:2, and a time of day none of another.
    Rational zero;
    const auto is_zero = [&](const Node* part) {
      return ExactValue(*part, &budget_, &zero) == Exactness::kValue && zero.IsZero();
    };
    if (gold.kind == Kind::kTime || answer.kind == Kind::kTime ||
        std::any_of(gold.children.begin(), gold.children.end(), is_zero)) {
      return SameInOrder(gold.children, answer.children);
    }
    Truth all = Truth::kYes;
    for (size_t i = 1; i < n && all != Truth::kNo; ++i) {
      all = And(all, SameValue(*arena_.Product(gold.children[i], answer.children[0]),
                               *arena_.Product(gold.children[0], answer.children[i]), &budget_));
    }
    return all;
  }
  const Node& ratio = is_ratio(gold) ? gold : answer;
  const Node& other = is_ratio(gold) ? answer : gold;
  if (ratio.children.size() != 2 || !IsScalar(other)) return Truth::kNo;
  return SameValue(*arena_.Quotient(ratio.children[0], ratio.children[1]), other, &budget_);
}

Truth Equivalence::SameTime(const Node& gold, const Node& answer) {
  if (gold.children.size() != answer.children.size()) return Truth::kNo;
  if (gold.number == answer.number)
    return TruthOf(gold.name == answer.name || gold.name.empty() || answer.name.empty());
  // 1:03 for 1:03 PM.
  const Rational half_day(12 * 3600);
  if (!gold.name.empty() && !answer.name.empty()) return Truth::kNo;
  const Node& vague = gold.name.empty() ? gold : answer;
  const Node& exact = gold.name.empty() ? answer : gold;
  return TruthOf(exact.name == "pm" && vague.number + half_day == exact.number);
}

}  // namespace ponder::verifier::math
