// Lists, sets, tuples and matrices.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "verifier/math/equivalence.h"

namespace ponder::verifier::math {
namespace {

constexpr size_t kMaxUnordered = 256;  // elements of a list that is compared without order

}  // namespace

Truth Equivalence::SameInOrder(const Nodes& gold, const Nodes& answer) {
  if (gold.size() != answer.size()) return Truth::kNo;
  Truth all = Truth::kYes;
  for (size_t i = 0; i < gold.size() && all != Truth::kNo; ++i)
    all = And(all, SameItem(*gold[i], *answer[i]));
  return all;
}

// (3, 1) is x = 3, y = 1 in that order, or by name; and "3, 1" without brackets.
Truth Equivalence::SameTupleAndList(const Node& tuple, const Node& list, bool tuple_is_gold) {
  if (tuple.name != "()" || tuple.children.size() != list.children.size()) return Truth::kNo;
  Nodes items = list.children;
  const auto in_order = [&] {
    return tuple_is_gold ? SameInOrder(tuple.children, items) : SameInOrder(items, tuple.children);
  };
  const Truth as_written = in_order();
  if (as_written != Truth::kNo) return as_written;
  std::vector<std::pair<std::string, const Node*>> named;
  for (const Node* item : items) {
    named.emplace_back(Read(*item, &budget_).name, item);
    if (named.back().first.empty()) return Truth::kNo;
  }
  std::stable_sort(named.begin(), named.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (size_t i = 0; i < items.size(); ++i) items[i] = named[i].second;
  return in_order();
}

Truth Equivalence::SameUnordered(const Node& gold, const Node& answer) {
  const Nodes& a = gold.children;
  const Nodes& b = answer.children;
  const bool sets = gold.kind == Kind::kSet || answer.kind == Kind::kSet;
  if (a.size() > kMaxUnordered || b.size() > kMaxUnordered) return Truth::kUnknown;
  if (!sets && a.size() != b.size()) return Truth::kNo;
  // x = 1, y = 2 isn't y = 1, x = 2.
  std::vector<std::string> gold_names, answer_names;
  for (const Node* item : a) gold_names.push_back(Read(*item, &budget_).name);
  for (const Node* item : b) answer_names.push_back(Read(*item, &budget_).name);
  const auto tells_apart = [](const std::vector<std::string>& names) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return !name.empty() && !names[0].empty() && name != names[0];
    });
  };
  const bool by_name = tells_apart(gold_names) && tells_apart(answer_names);
  std::vector<bool> taken(b.size(), false);
  bool unknown = false;
  for (size_t i = 0; i < a.size(); ++i) {
    bool found = false;
    for (size_t j = 0; j < b.size() && !found; ++j) {
      if ((!sets && taken[j]) || (by_name && gold_names[i] != answer_names[j])) continue;
      const Truth same = SameItem(*a[i], *b[j]);
      unknown |= same == Truth::kUnknown;
      if (same == Truth::kYes) found = taken[j] = true;
    }
    if (!found) return unknown ? Truth::kUnknown : Truth::kNo;
  }
  // Every element of the answer must be in the gold as well.
  for (size_t j = 0; j < b.size(); ++j) {
    if (taken[j]) continue;
    bool found = false;
    for (size_t i = 0; i < a.size() && !found; ++i) found = SameItem(*a[i], *b[j]) == Truth::kYes;
    if (!found) return Truth::kNo;
  }
  return Truth::kYes;
}

const Node* Equivalence::AsMatrix(const Node& node) {
  if (node.kind == Kind::kMatrix) return &node;
  if (node.kind != Kind::kTuple) return nullptr;
  Node matrix;
  matrix.kind = Kind::kMatrix;
  matrix.rows = static_cast<int>(node.children.size());
  size_t columns = 0;
  for (const Node* row : node.children) {
    const size_t width = row->kind == Kind::kTuple ? row->children.size() : 1;
    if (columns != 0 && width != columns) return nullptr;
    columns = width;
    if (row->kind == Kind::kTuple) {
      matrix.children.insert(matrix.children.end(), row->children.begin(), row->children.end());
    } else {
      matrix.children.push_back(row);
    }
  }
  return arena_.Keep(std::move(matrix));
}

Truth Equivalence::SameMatrix(const Node& gold, const Node& answer) {
  // A vector may be a row or a column, but not both ways in LaTeX.
  if (gold.rows != answer.rows || gold.children.size() != answer.children.size()) return Truth::kNo;
  return SameInOrder(gold.children, answer.children);
}

const Node* Equivalence::Folded(const Node& node) {
  if ((node.kind != Kind::kProduct && node.kind != Kind::kSum) || !Contains(node, Kind::kMatrix))
    return &node;
  if (node.kind == Kind::kProduct) {
    Nodes scalars;
    const Node* matrix = nullptr;
    for (const Node* child : node.children) {
      const Node* factor = Folded(*child);
      if (factor->kind == Kind::kMatrix) {
        if (matrix != nullptr) return &node;
        matrix = factor;
      } else {
        scalars.push_back(factor);
      }
    }
    if (matrix == nullptr) return &node;
    const Node* scale =
        scalars.size() == 1 ? scalars[0] : arena_.Make(Kind::kProduct, std::move(scalars));
    Node scaled = *matrix;
    for (const Node*& cell : scaled.children) cell = arena_.Product(scale, cell);
    return arena_.Keep(std::move(scaled));
  }
  const Node* total = nullptr;
  for (const Node* child : node.children) {
    const Node* term = Folded(*child);
    if (term->kind != Kind::kMatrix) return &node;
    if (total == nullptr) {
      total = term;
      continue;
    }
    if (total->rows != term->rows || total->children.size() != term->children.size()) return &node;
    Node sum = *total;
    for (size_t i = 0; i < sum.children.size(); ++i)
      sum.children[i] = arena_.Sum(sum.children[i], term->children[i]);
    total = arena_.Keep(std::move(sum));
  }
  return total;
}

}  // namespace ponder::verifier::math
