#include "verifier/math/extract.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder::verifier::math {
namespace extract_test {

using testing::ElementsAre;

void Expect(absl::string_view response, AnswerSource source, absl::string_view answer) {
  const Extraction found = ExtractAnswer(response);
  EXPECT_EQ(found.source, source) << response;
  if (answer.empty()) {
    EXPECT_TRUE(found.answers.empty()) << response;
  } else {
    EXPECT_THAT(found.answers, ElementsAre(std::string(answer))) << response;
  }
}

TEST(Extract, TakesBoxesWithBalancedBraces) {
  Expect(R"(so $\boxed{\frac{1}{2}}$.)", AnswerSource::kBoxed, R"(\frac{1}{2})");
  Expect(R"(\boxed {\{1, 2\}} done)", AnswerSource::kBoxed, R"(\{1, 2\})");
  Expect(R"(\fbox{\text{a } b})", AnswerSource::kBoxed, R"(\text{a } b)");
  Expect(R"(\boxed{3 \boxed{4}})", AnswerSource::kBoxed, R"(3 \boxed{4})");
}

TEST(Extract, KeepsEachDifferentBoxOnce) {
  EXPECT_THAT(ExtractAnswer(R"(\boxed{1}, \boxed{2} and \boxed{1}, \boxed{})").answers,
              ElementsAre("1", "2"));
  EXPECT_EQ(ExtractAnswer(R"(\boxed{})").source, AnswerSource::kBoxed);
  EXPECT_THAT(ExtractAnswer(R"(\boxed{})").answers, ElementsAre());
}

TEST(Extract, PassesOverBoxesThatOnlyKeepAPlace) {
  Expect(R"(solve $3 = x + \boxed{\phantom{2}}$: it is $\boxed{4}$)", AnswerSource::kBoxed, "4");
  Expect(R"($\boxed{\,\quad\hspace{1cm}}$, $\boxed{?}$, $\boxed{\_\_ __}$; \boxed{-1})",
         AnswerSource::kBoxed, "-1");
  Expect(R"(\boxed{\color{red}5})", AnswerSource::kBoxed, R"(\color{red}5)");
  Expect(R"(\boxed{5?})", AnswerSource::kBoxed, "5?");
  Expect(R"(\boxed{?})", AnswerSource::kBoxed, "");
}

TEST(Extract, PrefersBoxToHashesToTagToPhraseToLastLine) {
  Expect("The answer is 3\n#### 4\n\\boxed{5}\n6", AnswerSource::kBoxed, "5");
  Expect("The answer is 3\n#### 4\n<answer>6</answer>", AnswerSource::kHashes, "4");
  Expect("The answer is 3. <answer> 6 </answer>", AnswerSource::kTagged, "6");
  Expect("The answer is 3.\n6", AnswerSource::kPhrase, "3");
  Expect("Answer: 1\nFinal Answer: 2\n6 apples", AnswerSource::kPhrase, "2");
  Expect("x is\nA: 7", AnswerSource::kPhrase, "7");
  Expect("first\n\n  42  \n\n", AnswerSource::kLastLine, "42");
  Expect("  42 ", AnswerSource::kWhole, "42");
}

TEST(Extract, FindsMathematicsInProse) {
  Expect("So she has 3 + 10 = 13 apples left.", AnswerSource::kLastLine, "3 + 10 = 13");
  Expect("Thus x <= 2 is our answer.", AnswerSource::kLastLine, "x <= 2");
  Expect("They earned $1,234.50 in total. I hope it is correct.", AnswerSource::kLastLine,
         "$1,234.50");
  Expect("所以一共有 3 + 10 = 13只鸟。", AnswerSource::kLastLine, "3 + 10 = 13");
  Expect("答案是 **858**", AnswerSource::kPhrase, "858");
  Expect("It is either 41 or 42.", AnswerSource::kLastLine, "41 or 42");
}

TEST(Extract, ReadsOnlyWhatFollowsTheLastThought) {
  Expect("<think>\\boxed{1}</think>2", AnswerSource::kWhole, "2");
  Expect("\\boxed{1}</think>2</think>3", AnswerSource::kWhole, "3");
  Expect("<think>\\boxed{1}</think>  ", AnswerSource::kNone, "");
  Expect("\\boxed{1} ###Response \\boxed{2}", AnswerSource::kBoxed, "2");
  Expect("The answer is 4 <|im_start|>user 5", AnswerSource::kPhrase, "4");
}

TEST(Extract, TellsWhatWasCutOff) {
  Expect("<think>the answer is 5", AnswerSource::kUnclosedThought, "");
  Expect("<think>a</think>5<think>b", AnswerSource::kUnclosedThought, "");
  Expect("\\boxed{1} and \\boxed{\\frac{1}{2}", AnswerSource::kUnclosedBox, "");
  Expect("", AnswerSource::kNone, "");
}

// Quadratic work would not end within the test's time.
TEST(Extract, IsLinear) {
  std::string openings, answers;
  for (int i = 0; i < 500'000; ++i) {
    absl::StrAppend(&openings, "\\boxed{");
    absl::StrAppend(&answers, "answer ");
  }
  EXPECT_EQ(ExtractAnswer(openings).source, AnswerSource::kUnclosedBox);
  EXPECT_EQ(ExtractAnswer(answers).source, AnswerSource::kLastLine);
  EXPECT_EQ(ExtractAnswer(std::string(4'000'000, 'a')).source, AnswerSource::kLastLine);
  EXPECT_EQ(ExtractAnswer(std::string(4'000'000, '.')).source, AnswerSource::kLastLine);
}

}  // namespace extract_test
}  // namespace ponder::verifier::math
