#include "verifier/math/tree.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ponder::verifier::math {

const Node* Arena::Number(Rational value) {
  Node node;
  node.number = std::move(value);
  return Keep(std::move(node));
}

const Node* Arena::Symbol(absl::string_view name) { return Leaf(Kind::kSymbol, name); }

const Node* Arena::Leaf(Kind kind, absl::string_view name) {
  Node node;
  node.kind = kind;
  node.name = std::string(name);
  return Keep(std::move(node));
}

const Node* Arena::Make(Kind kind, Nodes children, absl::string_view name) {
  Node node;
  node.kind = kind;
  node.children = std::move(children);
  node.name = std::string(name);
  return Keep(std::move(node));
}

const Node* Arena::Call(Function function, Nodes children) {
  Node node;
  node.kind = Kind::kFunction;
  node.function = function;
  node.children = std::move(children);
  return Keep(std::move(node));
}

const Node* Arena::Negate(const Node* node) {
  if (node->kind == Kind::kNumber) {
    Node copy = *node;
    copy.number = -copy.number;
    return Keep(std::move(copy));
  }
  if (node->kind == Kind::kPercent || node->kind == Kind::kDegree ||
      node->kind == Kind::kQuantity) {
    return Make(node->kind, {Negate(node->children[0])}, node->name);
  }
  return Product(Number(-1), node);
}

const Node* Arena::Sum(const Node* a, const Node* b) { return Make(Kind::kSum, {a, b}); }

const Node* Arena::Product(const Node* a, const Node* b) { return Make(Kind::kProduct, {a, b}); }

const Node* Arena::Quotient(const Node* a, const Node* b) {
  return Product(a, Power(b, Number(-1)));
}

const Node* Arena::Power(const Node* base, const Node* exponent) {
  return Make(Kind::kPower, {base, exponent});
}

bool IsScalar(const Node& node) { return node.kind <= Kind::kQuantity; }

bool Contains(const Node& node, Kind kind) {
  if (node.kind == kind) return true;
  return std::any_of(node.children.begin(), node.children.end(),
                     [kind](const Node* child) { return Contains(*child, kind); });
}

std::string CanonicalText(const Node& node) {
  std::vector<std::string> parts;
  parts.reserve(node.children.size());
  for (const Node* child : node.children) parts.push_back(CanonicalText(*child));
  if (node.kind == Kind::kSum || node.kind == Kind::kProduct || node.kind == Kind::kSet ||
      node.kind == Kind::kList || node.kind == Kind::kUnion || node.kind == Kind::kIntersection) {
    std::sort(parts.begin(), parts.end());
  }
  if (node.kind == Kind::kNumber) return node.number.ToString();
  return absl::StrCat(static_cast<int>(node.kind), "'", static_cast<int>(node.function), "'",
                      node.rows, "'", node.name, "(", absl::StrJoin(parts, ","), ")");
}

bool IsInfinite(const Node& node) {
  if (node.kind == Kind::kInfinity) return true;
  return node.kind == Kind::kProduct && node.children.size() == 2 &&
         node.children[0]->kind == Kind::kNumber && IsInfinite(*node.children[1]);
}

}  // namespace ponder::verifier::math
