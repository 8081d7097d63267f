#include "verifier/math/real_set.h"

#include <algorithm>
#include <utility>

namespace ponder::verifier::math {
namespace {

bool IsInequality(const Node& node) {
  return node.kind == Kind::kRelation &&
         std::all_of(node.name.begin(), node.name.end(), [](char c) {
           return c == '<' || c == '>' || c == 'l' || c == 'g' || c == '!';
         });
}

class Reader {
 public:
  Reader(Arena* arena, Budget* budget) : arena_(*arena), budget_(*budget) {}

  std::optional<RealSet> Read(const Node& node) {
    switch (node.kind) {
      case Kind::kTuple:
        if (node.children.size() != 2 || !IsEndpoint(*node.children[0]) ||
            !IsEndpoint(*node.children[1]))
          return std::nullopt;
        return Normalized(
            {{node.children[0], node.children[1], node.name[0] == '[', node.name[1] == ']'}});
      case Kind::kSet: {
        RealSet points;
        for (const Node* point : node.children) {
          if (!IsEndpoint(*point)) return std::nullopt;
          points.push_back({point, point, true, true});
        }
        return Normalized(std::move(points));
      }
      case Kind::kNamedSet:
        if (node.name.empty()) return RealSet();
        if (node.name != "R") return std::nullopt;
        return All();
      case Kind::kUnion: {
        std::optional<RealSet> left = Read(*node.children[0]);
        const std::optional<RealSet> right = Read(*node.children[1]);
        if (!left || !right) return std::nullopt;
        left->insert(left->end(), right->begin(), right->end());
        return Normalized(*std::move(left));
      }
      case Kind::kIntersection:
      case Kind::kDifference: {
        const std::optional<RealSet> left = Read(*node.children[0]);
        std::optional<RealSet> right = Read(*node.children[1]);
        if (right && node.kind == Kind::kDifference) right = Complement(*right);
        if (!left || !right) return std::nullopt;
        return Intersection(*left, *right);
      }
      case Kind::kRelation:
        return Relation(node);
      case Kind::kList:
        return List(node);
      default:
        return std::nullopt;
    }
  }

 private:
  static bool IsEndpoint(const Node& node) { return IsScalar(node); }
  const Node* Infinity() { return arena_.Leaf(Kind::kInfinity); }
  const Node* MinusInfinity() { return arena_.Negate(Infinity()); }
  RealSet All() { return {{MinusInfinity(), Infinity(), false, false}}; }

  int Compare(const Node* a, const Node* b) {
    const int order = CompareReals(*a, *b, &budget_);
    failed_ |= order == 2;
    return order;
  }

  bool IsEmpty(const Interval& i) {
    const int order = Compare(i.low, i.high);
    return order > 0 || (order == 0 && !(i.low_closed && i.high_closed));
  }

  std::optional<RealSet> Normalized(RealSet set) {
    for (const Interval& i : set) {
      if (!IsConstant(*i.low) || !IsConstant(*i.high)) return set;  // (a, b)
      if (i.low != i.high && Compare(i.low, i.high) > 0) return std::nullopt;
    }
    if (set.size() > kMaxIntervals) return std::nullopt;
    std::stable_sort(set.begin(), set.end(), [this](const Interval& a, const Interval& b) {
      const int order = Compare(a.low, b.low);
      return order < 0 || (order == 0 && a.low_closed && !b.low_closed);
    });
    RealSet merged;
    for (const Interval& i : set) {
      if (IsEmpty(i)) continue;
      if (!merged.empty()) {
        Interval& last = merged.back();
        const int gap = Compare(i.low, last.high);
        if (gap < 0 || (gap == 0 && (i.low_closed || last.high_closed))) {
          const int reach = Compare(i.high, last.high);
          if (reach > 0) {
            last.high = i.high;
            last.high_closed = i.high_closed;
          } else if (reach == 0) {
            last.high_closed |= i.high_closed;
          }
          continue;
        }
      }
      merged.push_back(i);
    }
    if (failed_) return std::nullopt;
    return merged;
  }

  std::optional<RealSet> Complement(const RealSet& set) {
    RealSet gaps;
    const Node* from = MinusInfinity();
    bool closed = false;
    for (const Interval& i : set) {
      gaps.push_back({from, i.low, closed, !i.low_closed});
      from = i.high;
      closed = !i.high_closed;
    }
    gaps.push_back({from, Infinity(), closed, false});
    return Normalized(std::move(gaps));
  }

  std::optional<RealSet> Intersection(const RealSet& a, const RealSet& b) {
    RealSet common;
    if (a.size() * b.size() > kMaxIntervals * kMaxIntervals) return std::nullopt;
    for (const Interval& i : a) {
      for (const Interval& j : b) {
        Interval both = i;
        const int low = Compare(j.low, i.low), high = Compare(j.high, i.high);
        if (low > 0 || (low == 0 && !j.low_closed)) {
          both.low = j.low;
          both.low_closed = j.low_closed;
        }
        if (high < 0 || (high == 0 && !j.high_closed)) {
          both.high = j.high;
          both.high_closed = j.high_closed;
        }
        if (!IsEmpty(both)) common.push_back(both);
      }
    }
    if (failed_) return std::nullopt;
    return Normalized(std::move(common));
  }

  // +1 for a variable, -1 for one with a minus, 0 for anything else.
  static int VariableSign(const Node& node) {
    if (node.kind == Kind::kSymbol || node.kind == Kind::kApply) return 1;
    return node.kind == Kind::kProduct && node.children.size() == 2 &&
                   node.children[0]->kind == Kind::kNumber &&
                   node.children[0]->number == Rational(-1)
               ? -VariableSign(*node.children[1])
               : 0;
  }

  std::optional<RealSet> Relation(const Node& node) {
    const Nodes& x = node.children;
    if (node.name == "i") return VariableSign(*x[0]) == 1 ? Read(*x[1]) : std::nullopt;
    if (!IsInequality(node)) return std::nullopt;
    if (x.size() == 2) {
      if (VariableSign(*x[0]) != 0) return HalfLine(*x[0], node.name[0], x[1]);
      if (VariableSign(*x[1]) != 0) return HalfLine(*x[1], Flipped(node.name[0]), x[0]);
      return std::nullopt;
    }
    if (x.size() != 3 || VariableSign(*x[1]) == 0) return std::nullopt;
    const std::optional<RealSet> left = HalfLine(*x[1], Flipped(node.name[0]), x[0]);
    const std::optional<RealSet> right = HalfLine(*x[1], node.name[1], x[2]);
    if (!left || !right) return std::nullopt;
    if (IsConstant(*x[0]) && IsConstant(*x[2])) return Intersection(*left, *right);
    // a < x < b
    const bool up = node.name[0] == '<' || node.name[0] == 'l';
    const Interval& low = up ? (*left)[0] : (*right)[0];
    const Interval& high = up ? (*right)[0] : (*left)[0];
    return RealSet{{low.low, high.high, low.low_closed, high.high_closed}};
  }

  static char Flipped(char link) {
    switch (link) {
      case '<':
        return '>';
      case '>':
        return '<';
      case 'l':
        return 'g';
      case 'g':
        return 'l';
      default:
        return link;
    }
  }

  // variable `link` bound
  std::optional<RealSet> HalfLine(const Node& variable, char link, const Node* bound) {
    if (!IsScalar(*bound)) return std::nullopt;
    if (VariableSign(variable) < 0) {
      bound = arena_.Negate(bound);
      link = Flipped(link);
    }
    switch (link) {
      case '<':
      case 'l':
        return RealSet{{MinusInfinity(), bound, false, link == 'l'}};
      case '>':
      case 'g':
        return RealSet{{bound, Infinity(), link == 'g', false}};
      default:  // not equal
        return RealSet{{MinusInfinity(), bound, false, false}, {bound, Infinity(), false, false}};
    }
  }

  std::optional<RealSet> List(const Node& list) {
    std::vector<RealSet> sets;
    bool unequal = true;
    for (const Node* item : list.children) {
      const bool relation = item->kind == Kind::kRelation;
      if (!relation && !IsRealSetOnly(*item)) return std::nullopt;
      // x != 1, 2
      unequal &= relation && item->name == "!";
      std::optional<RealSet> set = Read(*item);
      if (!set) return std::nullopt;
      sets.push_back(*std::move(set));
    }
    std::optional<RealSet> common = sets[0];
    for (size_t i = 1; common && i < sets.size(); ++i) common = Intersection(*common, sets[i]);
    if (list.name == "and" || unequal || (list.name.empty() && common && !common->empty()))
      return common;
    RealSet all;
    for (const RealSet& set : sets) all.insert(all.end(), set.begin(), set.end());
    return Normalized(std::move(all));
  }

  static constexpr size_t kMaxIntervals = 64;
  Arena& arena_;
  Budget& budget_;
  bool failed_ = false;
};

}  // namespace

bool IsRealSetOnly(const Node& node) {
  switch (node.kind) {
    case Kind::kUnion:
    case Kind::kIntersection:
    case Kind::kDifference:
    case Kind::kNamedSet:
      return true;
    case Kind::kRelation:
      return IsInequality(node);
    case Kind::kList:
      return std::all_of(node.children.begin(), node.children.end(),
                         [](const Node* item) { return IsInequality(*item); });
    default:
      return false;
  }
}

std::optional<RealSet> ToRealSet(const Node& node, Arena* arena, Budget* budget) {
  return Reader(arena, budget).Read(node);
}

Truth SameRealSet(const RealSet& a, const RealSet& b, Budget* budget) {
  if (a.size() != b.size()) return Truth::kNo;
  bool unknown = false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].low_closed != b[i].low_closed || a[i].high_closed != b[i].high_closed)
      return Truth::kNo;
    for (const auto& [x, y] : {std::pair(a[i].low, b[i].low), std::pair(a[i].high, b[i].high)}) {
      const Truth same = SameValue(*x, *y, budget);
      if (same == Truth::kNo) return same;
      unknown |= same == Truth::kUnknown;
    }
  }
  return unknown ? Truth::kUnknown : Truth::kYes;
}

}  // namespace ponder::verifier::math
