#include "verifier/math/extract.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace ponder::verifier {
namespace {

void Expect(absl::string_view response, AnswerSource source, absl::string_view answer) {
  const Extraction found = ExtractAnswer(response);
  EXPECT_EQ(found.source, source) << response;
  EXPECT_EQ(found.answer, answer) << response;
}

TEST(Extract, TakesTheLastBoxWithBalancedBraces) {
  Expect(R"(so \boxed{1}, no: $\boxed{\frac{1}{2}}$.)", AnswerSource::kBoxed, R"(\frac{1}{2})");
  Expect(R"(\boxed {\{1, 2\}} done)", AnswerSource::kBoxed, R"(\{1, 2\})");
  Expect(R"(\boxed{\text{a } b})", AnswerSource::kBoxed, R"(\text{a } b)");
}

TEST(Extract, PrefersBoxToHashesToPhraseToLastLine) {
  Expect("The answer is 3\n#### 4\n\\boxed{5}\n6", AnswerSource::kBoxed, "5");
  Expect("The answer is 3\n#### 4\n6", AnswerSource::kHashes, "4");
  Expect("The answer is 3.\n6", AnswerSource::kPhrase, "3.");
  Expect("Answer: 1\nFinal Answer: 2\n6", AnswerSource::kPhrase, "2");
  Expect("x\nA: 7", AnswerSource::kPhrase, "7");
  Expect("first\n\n  42  \n\n", AnswerSource::kLastLine, "42");
  Expect("1+1=2;2+3=5", AnswerSource::kLastLine, "5");
}

TEST(Extract, ReadsOnlyWhatFollowsTheLastThought) {
  Expect("<think>\\boxed{1}</think>2", AnswerSource::kLastLine, "2");
  Expect("\\boxed{1}</think>2</think>3", AnswerSource::kLastLine, "3");
  Expect("<think>\\boxed{1}</think>  ", AnswerSource::kNone, "");
}

TEST(Extract, TellsWhatWasCutOff) {
  Expect("<think>the answer is 5", AnswerSource::kUnclosedThought, "");
  Expect("<think>a</think>5<think>b", AnswerSource::kUnclosedThought, "");
  Expect("\\boxed{1} and \\boxed{\\frac{1}{2}", AnswerSource::kUnclosedBox, "");
  Expect("", AnswerSource::kNone, "");
}

// Quadratic work would not end within the test's time: 4 million openings.
TEST(Extract, IsLinear) {
  std::string openings;
  for (int i = 0; i < 1'000'000; ++i) absl::StrAppend(&openings, "\\boxed{");
  EXPECT_EQ(ExtractAnswer(openings).source, AnswerSource::kUnclosedBox);
  EXPECT_EQ(ExtractAnswer(std::string(4'000'000, 'a')).source, AnswerSource::kLastLine);
}

}  // namespace
}  // namespace ponder::verifier
