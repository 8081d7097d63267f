// The typed tree of an answer.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "verifier/math/budget.h"
#include "verifier/math/rational.h"

namespace ponder::verifier::math {

enum class Kind : uint8_t {
  // Scalars.
  kNumber,  // `number`; as a decimal, `decimals` and `digits` tell how it was written
  kSymbol,  // `name`
  kPi,
  kE,
  kI,
  kInfinity,
  kSum,
  kProduct,
  kPower,        // base, exponent
  kRoot,         // radicand, degree
  kFunction,     // `function` of children
  kApply,        // an unknown function `name` of children: f(3)
  kUnevaluated,  // a sum, integral, limit, gcd, ...: `name` spells it
  kPlusMinus,    // one child; `name` is "+" for \pm and "-" for \mp
  kDegree,       // child in degrees
  kPercent,      // child in percent
  kQuantity,     // child in the unit `name`
  // Everything else.
  kTuple,  // `name` is its two brackets, e.g. "[)"
  kSet,    // {a, b}
  kList,   // a, b
  kUnion,
  kIntersection,
  kDifference,
  kMatrix,    // `rows` rows, children row by row
  kRelation,  // a chain of children; `name` has one letter per link: = < > l g ! ~ i (in)
  kRatio,     // a : b : c
  kTime,      // `number` in seconds since midnight; `name` is "am", "pm" or ""
  kText,      // `name`
  kNamedSet,  // `name`: "R", "Z", "Q", "N", "C" or "" for the empty set
};

enum class Function : uint8_t {
  kSin,
  kCos,
  kTan,
  kCot,
  kSec,
  kCsc,
  kAsin,
  kAcos,
  kAtan,
  kAcot,
  kAsec,
  kAcsc,
  kSinh,
  kCosh,
  kTanh,
  kCoth,
  kSech,
  kCsch,
  kAsinh,
  kAcosh,
  kAtanh,
  kExp,
  kLn,
  kLog,      // written without a base
  kLogBase,  // argument, base
  kAbs,
  kFloor,
  kCeil,
  kSign,
  kMin,
  kMax,
  kFactorial,
  kBinomial,
};

struct Node;
using Nodes = std::vector<const Node*>;

// A value, never changed once it is in a tree.
struct Node {
  Kind kind = Kind::kNumber;
  Function function = Function::kSin;
  bool decimal = false;  // kNumber: written with a point or an exponent
  bool base_n = false;   // kNumber: written with a base
  bool alone = false;    // kNumber: a plain literal of digits
  int16_t decimals = 0;  // kNumber, decimal: the last digit is worth 10^-decimals
  int16_t digits = 0;    // kNumber, decimal: significant digits
  int rows = 0;          // kMatrix
  Rational number;
  std::string name;
  Nodes children;
  const Node* alternative = nullptr;  // kList "2,5": the same text read with a decimal comma
};

// Owns the nodes of the trees of one question. A machine, used by one thread.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  const Node* Keep(Node node) {
    nodes_.push_back(std::move(node));
    return &nodes_.back();
  }
  int size() const { return static_cast<int>(nodes_.size()); }

  const Node* Number(Rational value);
  const Node* Symbol(absl::string_view name);
  const Node* Leaf(Kind kind, absl::string_view name = "");
  const Node* Make(Kind kind, Nodes children, absl::string_view name = "");
  const Node* Call(Function function, Nodes children);
  const Node* Negate(const Node* node);
  const Node* Sum(const Node* a, const Node* b);
  const Node* Product(const Node* a, const Node* b);
  const Node* Quotient(const Node* a, const Node* b);
  const Node* Power(const Node* base, const Node* exponent);

 private:
  std::deque<Node> nodes_;
};

bool IsScalar(const Node& node);
// Whether `node` or anything below is of that kind.
bool Contains(const Node& node, Kind kind);
// The same text for the same tree, up to the order of terms and factors and how numbers are
// written.
std::string CanonicalText(const Node& node);
// -infinity counts.
bool IsInfinite(const Node& node);

}  // namespace ponder::verifier::math
