#include "verifier/math/math_grader.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace ponder::verifier {
namespace {

using Outcome = Verdict::Outcome;

Verdict Grade(absl::string_view gold, absl::string_view response) {
  return MathGrader().Grade({gold, response}, absl::InfiniteFuture());
}

struct Case {
  const char* gold;
  const char* answer;
  Outcome outcome;
};

TEST(MathGrader, ComparesByExactValue) {
  const Case cases[] = {
      {"42", "42", Outcome::kCorrect},
      {"42", "43", Outcome::kWrong},
      {"-3", "-3", Outcome::kCorrect},
      {"3", "-3", Outcome::kWrong},
      {"1/2", "0.5", Outcome::kCorrect},
      {"1/2", "2/4", Outcome::kCorrect},
      {"\\frac{3}{4}", "0.75", Outcome::kCorrect},
      {"-\\dfrac{1}{3}", "-1/3", Outcome::kCorrect},
      {"1/3", "0.3333", Outcome::kWrong},
      {"1000", "1,000", Outcome::kCorrect},
      {"40", "$40", Outcome::kCorrect},
      {"72", "72 clips", Outcome::kCorrect},
      {"0.1", "0.1000000000000000000000001", Outcome::kWrong},
      {"123456789012345678901234567890", "123456789012345678901234567891", Outcome::kWrong},
  };
  for (const Case& c : cases) {
    const Verdict verdict = Grade(c.gold, absl::StrCat("<think>hm</think>\\boxed{", c.answer, "}"));
    EXPECT_EQ(verdict.outcome, c.outcome) << c.gold << " / " << c.answer << ": " << verdict.reason;
    EXPECT_EQ(verdict.extracted, c.answer);
  }
}

TEST(MathGrader, TellsWhyThereIsNoVerdict) {
  EXPECT_EQ(Grade("5", "<think>5").outcome, Outcome::kUnparsable);
  EXPECT_EQ(Grade("5", "<think>5").detail, "unclosed_thought");
  EXPECT_EQ(Grade("5", "\\boxed{5").detail, "unclosed_box");
  EXPECT_EQ(Grade("5", "<think>5</think> ").detail, "no_answer");
  EXPECT_EQ(Grade("5", "\\boxed{1/0}").outcome, Outcome::kUnparsable);
  EXPECT_EQ(Grade("5", "\\boxed{1/0}").detail, "unparsable_answer");
  EXPECT_EQ(Grade("", "5").outcome, Outcome::kError);
  EXPECT_EQ(Grade("", "5").detail, "unparsable_gold");
}

TEST(MathGrader, ReadsTheGoldOfGsm8kFromItsSolution) {
  EXPECT_EQ(Grade("He sells 2*3=<<2*3=6>>6.\n#### 6", "6").outcome, Outcome::kCorrect);
}

TEST(MathGrader, SaysWhichGoldCantBeMatched) {
  EXPECT_TRUE(MathGrader().CheckGold("3/4").ok());
  EXPECT_EQ(MathGrader().CheckGold("").code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ponder::verifier
