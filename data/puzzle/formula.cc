#include "data/puzzle/formula.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {
namespace {

constexpr int kMaxDepth = 64;

class Parser {
 public:
  Parser(absl::string_view text, uint32_t truth) : rest_(text), truth_(truth) {}

  std::optional<bool> Parse() {
    const bool value = Formula(0);
    return ok_ && absl::StripAsciiWhitespace(rest_).empty() ? std::optional<bool>(value)
                                                            : std::nullopt;
  }

 private:
  bool Eat(absl::string_view word) {
    rest_ = absl::StripLeadingAsciiWhitespace(rest_);
    return absl::ConsumePrefix(&rest_, word);
  }
  bool Fail() {
    ok_ = false;
    return false;
  }
  bool Formula(int depth) {
    if (!ok_ || depth > kMaxDepth) return Fail();
    if (Eat("True")) return true;
    if (Eat("False")) return false;
    if (!Eat("(")) {
      if (rest_.empty() || !absl::ascii_isupper(rest_[0])) return Fail();
      const int name = rest_[0] - 'A';
      rest_.remove_prefix(1);
      return (truth_ >> name & 1) != 0;
    }
    bool value;
    if (Eat("not ")) {
      value = !Formula(depth + 1);
    } else {
      const bool left = Formula(depth + 1);
      if (Eat("and ")) {
        value = Formula(depth + 1) && left;
      } else if (Eat("or ")) {
        value = Formula(depth + 1) || left;
      } else if (Eat("iff ")) {
        value = Formula(depth + 1) == left;
      } else if (Eat("xor ")) {
        value = Formula(depth + 1) != left;
      } else if (Eat("implies ")) {
        value = Formula(depth + 1) || !left;
      } else {
        return Fail();
      }
    }
    return Eat(")") ? value : Fail();
  }

  absl::string_view rest_;
  const uint32_t truth_;
  bool ok_ = true;
};

}  // namespace

std::optional<bool> Evaluate(absl::string_view formula, uint32_t truth) {
  if (formula.size() > 4096) return std::nullopt;
  return Parser(formula, truth).Parse();
}

std::string RandomFormula(int depth, int names, Rng& rng) {
  if (depth <= 0) {
    if (names == 0) return Chance(rng, 50) ? "True" : "False";
    return std::string(1, static_cast<char>('A' + Draw(rng, 0, names - 1)));
  }
  if (Chance(rng, 20)) return absl::StrCat("(not ", RandomFormula(depth - 1, names, rng), ")");
  constexpr const char* kOps[] = {" and ", " or ", " iff ", " xor ", " implies "};
  const char* op = kOps[Draw(rng, 0, 4)];
  // One side as deep as asked for, the other at most so.
  std::string deep = RandomFormula(depth - 1, names, rng);
  std::string other = RandomFormula(Draw(rng, 0, depth - 1), names, rng);
  if (Chance(rng, 50)) std::swap(deep, other);
  return absl::StrCat("(", deep, op, other, ")");
}

}  // namespace ponder::data::puzzle
