#include "verifier/self_test.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/steady_clock.h"

namespace ponder::verifier {
namespace {

using Outcome = Verdict::Outcome;

struct Known {
  const char* kind;
  const char* gold;
  const char* response;
  Outcome outcome;
};

constexpr char kTwentyFour[] = R"({"family":"24","instance":{"numbers":[1,2,3,4]}})";
constexpr char kDouble[] =
    R"({"language":"python","tests":{"stdin":[{"input":"3\n","output":"6\n"}]}})";

constexpr Known kKnown[] = {
    {"math", "\\frac{1}{2}", "<think>0.7?</think> so \\boxed{0.5}", Outcome::kCorrect},
    {"math", "2\\sqrt{3}", "#### \\sqrt{12}", Outcome::kCorrect},
    {"math", "x^2-1", "The answer is $(x-1)(x+1)$.", Outcome::kCorrect},
    {"math", "\\frac{1}{2004!}", "\\boxed{1/2006!}", Outcome::kWrong},
    {"math", "5", "\\boxed{3}, \\boxed{4}, \\boxed{5}", Outcome::kWrong},
    {"math", "5", "<think>\\boxed{5}", Outcome::kUnparsable},
    {"math", "5", "", Outcome::kUnparsable},
    {"math", "10^9", "\\boxed{9^{9^{9^9}}}", Outcome::kTimeout},
    {"math", "", "\\boxed{5}", Outcome::kError},
    {"choice", "B", "<think>A or B?</think> The answer is B.", Outcome::kCorrect},
    {"choice", "B", "The answer is A, B, C or D.", Outcome::kWrong},
    {"puzzle", kTwentyFour, "<think>hm</think> (1+2+3)*4", Outcome::kCorrect},
    {"puzzle", kTwentyFour, "1+2+3*4", Outcome::kWrong},
    // Whether the jail holds is CodeGrader::SelfTest.
    {"code", kDouble, "<think>a program", Outcome::kUnparsable},
};

constexpr absl::Duration kPatience = absl::Seconds(5);  // for one answer

}  // namespace

absl::Status SelfTest(const Graders& graders) {
  for (const Known& known : kKnown) {
    const absl::StatusOr<const Grader*> grader = graders.Find(known.kind);
    if (!grader.ok()) continue;
    const Verdict verdict =
        TimedGrade(**grader, {known.gold, known.response}, SteadyNow() + kPatience);
    if (verdict.outcome == known.outcome) continue;
    return absl::InternalError(absl::StrCat("self-test: kind ", known.kind, ", gold '", known.gold,
                                            "', response '", known.response, "' is judged ",
                                            OutcomeName(verdict.outcome), " (", verdict.reason,
                                            "), not ", OutcomeName(known.outcome)));
  }
  return absl::OkStatus();
}

}  // namespace ponder::verifier
