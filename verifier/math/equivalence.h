// Whether an answer says what the gold says: the policies of docs/verifier.md.
#pragma once

#include "verifier/math/budget.h"
#include "verifier/math/reading.h"
#include "verifier/math/scalar.h"
#include "verifier/math/tree.h"

namespace ponder::verifier::math {

// A machine for one question. The arena and the budget outlive it.
class Equivalence {
 public:
  Equivalence(Arena* arena, Budget* budget) : arena_(*arena), budget_(*budget) {}

  // By value. Symmetric but for percentages, roundings and equations, where the gold says what was
  // asked for.
  Truth Same(const Node& gold, const Node& answer);

 private:
  Truth SameItem(const Node& gold, const Node& answer);
  Truth SameValues(const Node& gold, const Node& answer);
  Truth SameEquation(const Reading& gold, const Reading& answer);
  Truth SameInequality(const Node& gold, const Node& answer);
  Truth SameScalar(const Node& gold, const Node& answer);
  Truth SameMeasure(const Node& gold, const Node& answer);
  Truth SameUpToRounding(const Node& gold, const Node& answer);
  Truth SameUnordered(const Node& gold, const Node& answer);
  Truth SameInOrder(const Nodes& gold, const Nodes& answer);
  Truth SameTupleAndList(const Node& tuple, const Node& list, bool tuple_is_gold);
  Truth SameMatrix(const Node& gold, const Node& answer);
  Truth SameRatio(const Node& gold, const Node& answer);
  Truth SameTime(const Node& gold, const Node& answer);

  // With every \pm written out: a list of two, or the node itself.
  const Node* Expanded(const Node& node);
  // Without "k in Z" at the end of a list; null if that is not there.
  const Node* Unconditioned(const Node& node);
  // With the symbol I as the imaginary unit; null if there is no I.
  const Node* WithImaginaryUnit(const Node& node);
  const Node* WithSign(const Node& node, int sign);
  // Scalar times matrix, matrix plus matrix.
  const Node* Folded(const Node& node);
  // As a matrix: a column for (a, b), rows for ((a, b), (c, d)). Null if it is none.
  const Node* AsMatrix(const Node& node);

  Arena& arena_;
  Budget& budget_;
  int depth_ = 0;
};

}  // namespace ponder::verifier::math
