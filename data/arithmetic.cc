#include "data/arithmetic.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace ponder::data {
namespace {

struct Range {
  int64_t lo;
  int64_t hi;  // inclusive
  constexpr int64_t size() const { return hi - lo + 1; }
};

// How hard the tasks are: the operands of each.
constexpr Range kSum3Operand{10, 99};
constexpr Range kProductFirst{10, 99}, kProductSecond{2, 99};
constexpr Range kChainOperand{2, 30}, kChainFactor{2, 9};
constexpr Range kModularFirst{10, 99}, kModularSecond{2, 9}, kModularAddend{10, 99},
    kModulus{3, 19};

// Reads operands off a problem's number, as digits of a mixed radix.
class Operands {
 public:
  explicit Operands(int64_t number) : rest_(number) {}
  int64_t Next(Range range) {
    const int64_t value = range.lo + rest_ % range.size();
    rest_ /= range.size();
    return value;
  }

 private:
  int64_t rest_;
};

// Writes one step, e.g. "12+34=46", and returns its result.
int64_t Step(int64_t a, char operation, int64_t b, std::string& thought) {
  const int64_t result = operation == '+' ? a + b : operation == '-' ? a - b : a * b;
  absl::StrAppend(&thought, thought.empty() ? "" : ";", a, std::string(1, operation), b, "=",
                  result);
  return result;
}

// How often adding a and b carries.
int32_t Carries(int64_t a, int64_t b) {
  int32_t carries = 0;
  for (int64_t carry = 0; a > 0 || b > 0 || carry > 0; a /= 10, b /= 10) {
    carry = (a % 10 + b % 10 + carry) / 10;
    carries += static_cast<int32_t>(carry);
  }
  return carries;
}

std::optional<Problem> Sum3(int64_t number) {
  Operands operands(number);
  const int64_t a = operands.Next(kSum3Operand), b = operands.Next(kSum3Operand),
                c = operands.Next(kSum3Operand);
  int64_t sorted[] = {a, b, c};
  std::sort(std::begin(sorted), std::end(sorted));
  Problem problem;
  problem.question = absl::StrCat(a, "+", b, "+", c, "=?");
  problem.answer = absl::StrCat(Step(Step(a, '+', b, problem.thought), '+', c, problem.thought));
  problem.canonical = absl::StrCat(sorted[0], "+", sorted[1], "+", sorted[2]);
  problem.difficulty = 1 + Carries(a, b) + Carries(a + b, c);
  return problem;
}

// Partial products over the digits of the second factor, or of the first if the second has only
// one.
std::optional<Problem> Product(int64_t number) {
  Operands operands(number);
  const int64_t a = operands.Next(kProductFirst), b = operands.Next(kProductSecond);
  const bool split_first = b < 10;
  const int64_t split = split_first ? a : b, whole = split_first ? b : a;
  Problem problem;
  std::vector<int64_t> parts;
  for (const int64_t part : {split / 10 * 10, split % 10}) {
    if (part == 0) continue;
    parts.push_back(split_first ? Step(part, '*', whole, problem.thought)
                                : Step(whole, '*', part, problem.thought));
  }
  const int64_t product =
      parts.size() == 2 ? Step(parts[0], '+', parts[1], problem.thought) : parts[0];
  problem.question = absl::StrCat(a, "*", b, "=?");
  problem.answer = absl::StrCat(product);
  problem.canonical = absl::StrCat(std::min(a, b), "*", std::max(a, b));
  problem.difficulty = split_first ? 1 : 2;
  return problem;
}

// (a+b)*c, (a-b)*c, a*c-(b-d), (a+b)*c-d and (a-b)*c+d.
std::optional<Problem> Chain(int64_t number) {
  Operands operands(number);
  const int64_t shape = operands.Next({0, 4});
  const int64_t a = operands.Next(kChainOperand), b = operands.Next(kChainOperand),
                c = operands.Next(kChainFactor);
  const int64_t d = operands.Next(kChainOperand);
  if (shape < 2 && d != kChainOperand.lo)
    return std::nullopt;  // d isn't used: count such problems once
  Problem problem;
  const bool adds = shape == 0 || shape == 3;
  int64_t result;
  if (shape == 2) {
    if (b <= d) return std::nullopt;
    problem.question = absl::StrCat(a, "*", c, "-(", b, "-", d, ")");
    const int64_t bracket = Step(b, '-', d, problem.thought);
    result = Step(Step(a, '*', c, problem.thought), '-', bracket, problem.thought);
  } else {
    if (!adds && a <= b) return std::nullopt;
    problem.question = absl::StrCat("(", a, adds ? "+" : "-", b, ")*", c);
    result = Step(Step(a, adds ? '+' : '-', b, problem.thought), '*', c, problem.thought);
    if (shape >= 3) {
      absl::StrAppend(&problem.question, adds ? "-" : "+", d);
      result = Step(result, adds ? '-' : '+', d, problem.thought);
    }
  }
  if (result < 0) return std::nullopt;
  problem.answer = absl::StrCat(result);
  // The bracket's sum, or the product of shape 2, may be swapped.
  int64_t low = a, high = shape == 2 ? c : b;
  if ((adds || shape == 2) && low > high) std::swap(low, high);
  problem.canonical = absl::StrCat(shape, ":", low, ",", high, ",", shape == 2 ? b : c, ",", d);
  problem.difficulty = shape < 2 ? 1 : 2;
  absl::StrAppend(&problem.question, "=?");
  return problem;
}

std::optional<Problem> Modular(int64_t number) {
  Operands operands(number);
  const int64_t a = operands.Next(kModularFirst), b = operands.Next(kModularSecond),
                c = operands.Next(kModularAddend);
  const int64_t m = operands.Next(kModulus);
  Problem problem;
  problem.question = absl::StrCat("(", a, "*", b, "+", c, ")mod ", m, "=?");
  const int64_t value = Step(Step(a, '*', b, problem.thought), '+', c, problem.thought);
  absl::StrAppend(&problem.thought, ";", value, "-", m, "*", value / m, "=", value % m);
  problem.answer = absl::StrCat(value % m);
  problem.canonical = absl::StrCat(std::min(a, b), "*", std::max(a, b), "+", c, "mod", m);
  problem.difficulty = m < 10 ? 1 : 2;
  return problem;
}

constexpr ProblemSpace kSpaces[] = {
    {"sum3", kSum3Operand.size() * kSum3Operand.size() * kSum3Operand.size(), Sum3},
    {"product", kProductFirst.size() * kProductSecond.size(), Product},
    {"chain",
     5 * kChainOperand.size() * kChainOperand.size() * kChainFactor.size() * kChainOperand.size(),
     Chain},
    {"modular",
     kModularFirst.size() * kModularSecond.size() * kModularAddend.size() * kModulus.size(),
     Modular},
};

}  // namespace

absl::Span<const ProblemSpace> ProblemSpaces() { return kSpaces; }

}  // namespace ponder::data
