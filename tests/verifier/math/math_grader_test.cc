// The policies of docs/verifier.md, each with cases on both sides of its line.
#include "verifier/math/math_grader.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace ponder::verifier {
namespace math_grader_test {

using Outcome = Verdict::Outcome;

Verdict Grade(absl::string_view gold, absl::string_view response) {
  return MathGrader().Grade({gold, response}, absl::InfiniteFuture());
}

struct Case {
  const char* gold;
  const char* answer;
  bool correct;
};

// Each answer in a box after a thought. Wrong: anything but correct.
void Expect(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    const Verdict verdict = Grade(c.gold, absl::StrCat("<think>hm</think>\\boxed{", c.answer, "}"));
    EXPECT_EQ(verdict.outcome == Outcome::kCorrect, c.correct)
        << c.gold << " / " << c.answer << ": " << OutcomeName(verdict.outcome) << ", "
        << verdict.reason;
  }
}

TEST(MathPolicy, ValuesNotSpellings) {
  Expect({
      {"42", "42", true},
      {"42", "43", false},
      {"3", "-3", false},
      {"1/2", "0.5", true},
      {"1/2", "2/4", true},
      {"\\frac{3}{4}", "0.75", true},
      {"\\frac{3}{4}", ".75", true},
      {"-\\dfrac{1}{3}", "-1/3", true},
      {"2^{10}", "1024", true},
      {"\\frac12", "½", true},
      {"1.5", "1 1/2", true},
      {"\\frac{7}{2}", "3\\frac12", true},
      {"1000", "1,000", true},
      {"1000000", "1{,}000{,}000", true},
      {"1000", "10^3", true},
      {"0.00012", "1.2e-4", true},
      {"4200", "4.2 \\times 10^3", true},
      {"5!", "120", true},
      {"120", "\\binom{10}{3}", true},
      {"\\sqrt{8}", "2\\sqrt{2}", true},
      {"\\sqrt{8}", "2\\sqrt{3}", false},
      {"\\frac{1}{\\sqrt2}", "\\frac{\\sqrt{2}}{2}", true},
      {"42", "４２", true},
      {"\\pi", "π", true},
      {"\\frac{1}{3}", "0.\\overline{3}", true},
      {"123456789012345678901234567890", "123456789012345678901234567891", false},
      {"262537412640768744", "e^{\\pi\\sqrt{163}}", false},
      {"\\frac{1}{2004!}", "\\frac{1}{2006!}", false},
      {"0", "10^{-30}", false},
      {"1-\\frac1e", "1+\\frac1e", false},
      {"-1", "e^{i\\pi}", true},
      {"2i", "\\sqrt{-4}", true},
      {"\\log 8", "3 \\log 2", true},
      {"3", "\\log_2 8", true},
      {"\\frac{\\sqrt3}{2}", "\\sin 60^\\circ", true},
      {"52_8", "52_{8}", true},
      {"52_8", "42", true},
      {"52_8", "52_{9}", false},
      {"11", "B_{16}", false},
      {"-2", "\\sqrt[3]{-8}", true},
      {"4", "4\\sqrt(2)", false},
  });
}

TEST(MathPolicy, FunctionsOfVariables) {
  Expect({
      {"x^2+2x+1", "(x+1)^2", true},
      {"x+1", "\\frac{x^2-1}{x-1}", true},
      {"x", "x+10^{-12}", false},
      {"x^2", "x^2+x(x-1)(x-2)(x-3)(x-4)", false},
      {"x", "\\sqrt{x^2}", false},
      {"|x|", "\\sqrt{x^2}", true},
      {"x", "y", false},
      {"x+1", "х+1", false},
      {"f(x)", "f(y)", false},
      {"x", "0 \\cdot x", false},
      {"\\sec x", "\\frac1{\\cos x}", true},
      {"1", "\\sin^2 x + \\cos^2 x", true},
      {"\\tan^2 y + 1", "\\sec^2(y)", true},
      {"\\sin(2x)", "2 \\sin x \\cos x", true},
      {"\\sqrt{1/n}", "\\frac{1}{\\sqrt{n}}", true},
      {"x^2", "x²", true},
      {"\\frac{n(n-1)}{2}", "\\binom{n}{2}", true},
      {"e^{x+y}", "e^x e^y", true},
      {"x^{2/3}", "\\sqrt[3]{x}^2", true},
      {"\\frac{1}{a^{1/2}b^{1/2}}", "\\frac{1}{\\sqrt{ab}}", true},
      {"2\\ln x", "\\ln x^2", false},
      {"12", "n", false},
  });
}

TEST(MathPolicy, WhatLatexParsersRead) {
  Expect({
      {"2 bar{x}", "2\\overline{x}", true},
      {"bar{x}_{23}^{2}", "\\bar{x}^2_{23}", true},
      {"\\vec{a}", "\\overrightarrow{a}", true},
      {"\\vec{a}", "a", false},
      {"\\epsilon", "\\char\"000190", true},
      {"\\alpha", "\\char945", true},
      {"5", "\\char\"FFFFFFFF 5", false},
      {"(1+2)(3-4)", "\\{1+2\\}\\{3-4\\}", true},
      {"9", "\\left\\lbrace 3\\right\\rbrace^2", true},
      {"\\{3\\}", "\\{1+2\\}", true},
      {"a_{k+n}", "a_{n+k}", true},
      {"a_{k+n}", "a_{n-k}", false},
      {"-1", "e^{I\\pi}", true},
      {"2+3i", "2+3I", true},
      {"2+3i", "2-3I", false},
      {"i", "I=5", false},
      {"5", "I=5", true},
      {"a \\bmod b", "a\\mod b", true},
      {"a \\bmod b", "b\\mod a", false},
      {"3", "7 \\bmod 4", false},
      {"101_2", "101_{\\text{two}}", true},
      {"k\\pi, k\\in\\mathbb{Z}", "k\\pi", true},
      {"k\\pi, k\\in\\mathbb{Z}", "2k\\pi", false},
      {"k\\pi, k\\in\\mathbb{Z}", "k\\pi, k\\in\\mathbb{N}", false},
  });
}

TEST(MathPolicy, WordsAroundValues) {
  const auto correct = [](absl::string_view gold, absl::string_view response) {
    return Grade(gold, response).outcome == Outcome::kCorrect;
  };
  EXPECT_TRUE(correct("-3", "negative 3"));
  EXPECT_TRUE(correct("-3", "The answer is minus 3."));
  EXPECT_TRUE(correct("-5", "negative five"));
  EXPECT_FALSE(correct("3", "negative 3"));
  EXPECT_TRUE(correct("\\{-1,0,1\\}", "{-1,0,1}"));
  EXPECT_TRUE(correct("3/4", "three quarters"));
  EXPECT_TRUE(correct("1/2", "one half"));
  EXPECT_FALSE(correct("1/3", "third"));
  EXPECT_TRUE(correct("3 hours 20 minutes", "3 hr 20 min"));
  EXPECT_TRUE(correct("3 hours 20 minutes", "200 minutes"));
  EXPECT_TRUE(correct("3 hours and 20 minutes", "3 hours 20 minutes"));
  EXPECT_FALSE(correct("3 hours 20 minutes", "3 hours"));
  EXPECT_TRUE(correct("\\log_{10} 5", "log10(5)"));
  EXPECT_TRUE(correct("\\text{hyperbola}", "The graph is a hyperbola."));
  EXPECT_FALSE(correct("\\text{hyperbola}", "The graph is not a hyperbola."));
  EXPECT_FALSE(correct("\\text{hyperbola}", "It is an ellipse or it is a hyperbola."));
  EXPECT_TRUE(correct("\\text{Yes}", "Yes, it does."));
  EXPECT_FALSE(correct("\\text{Yes}", "Yes, or no."));
  EXPECT_TRUE(correct("A", "The correct option is **A**."));
  EXPECT_TRUE(correct("\\emptyset", "There is no solution"));
  EXPECT_TRUE(correct("\\text{(B)}", "(b)"));
  EXPECT_TRUE(correct("25 cents", "25¢"));
  EXPECT_TRUE(correct("60 km/h", "60 kph"));
}

// \log x is not log_2 x, but in a book on information it may be.
TEST(MathPolicy, LogarithmWithoutABase) {
  EXPECT_EQ(Grade("\\log x", "\\log_2 x").outcome, Outcome::kUnparsable);
  EXPECT_EQ(Grade("\\log_a x", "\\log x").outcome, Outcome::kUnparsable);
  EXPECT_EQ(Grade("\\log x", "\\log_2 (x+1)").outcome, Outcome::kWrong);
  EXPECT_EQ(Grade("\\log_3 x", "\\log_2 x").outcome, Outcome::kWrong);
  EXPECT_EQ(Grade("\\text{True}", "{1,2} \\supseteq {1}").outcome, Outcome::kUnparsable);
}

TEST(MathPolicy, Percent) {
  Expect({
      {"50\\%", "50\\%", true},
      {"50\\%", "\\frac12", true},
      {"50\\%", "50", true},
      {"50", "50\\%", true},
      {"0.5", "50\\%", true},
      {"0.4", "40", false},
      {"40", "0.4", false},
      {"25\\%", "12.5", false},
      {"28\\%", "28 percent", true},
      {"28\\%", "28 pct", true},
  });
}

TEST(MathPolicy, Rounding) {
  Expect({
      {"\\pi", "3.14", false},
      {"\\pi", "3.14159", true},
      {"\\pi", "3.14158", false},
      {"\\frac13", "0.333", false},
      {"\\frac13", "0.333333", true},
      {"\\sqrt2", "1.414214", true},
      {"\\sqrt2", "1.414213", false},
      {"42", "42.0", true},
      {"5", "5.001", false},
      {"10000", "9999.857143", false},
      // A gold that is itself rounded takes what rounds to it.
      {"1.414", "\\sqrt2", true},
      {"0.333", "\\frac13", true},
      {"2.232", "2.23", false},
      {"0.066793", "0.067", false},
      {"4.123105625617661", "\\sqrt{17}", true},
      {"16386.17", "16386.169", true},
      {"0.5", "0.48", false},
      {"0.5", "0.4999", false},
  });
}

TEST(MathPolicy, ListsSetsTuples) {
  Expect({
      {"1,2", "2, 1", true},
      {"1,2", "1", false},
      {"1, 2", "1, 2, 3", false},
      {"\\{2,3\\}", "\\{3,2\\}", true},
      {"\\{2,3\\}", "2,3,3", true},
      {"\\{2,3\\}", "2", false},
      {"3", "3 \\text{ or } 4", false},
      {"3", "x=3, x=4", false},
      {"(3,1)", "(1,3)", false},
      {"(3,1)", "\\{1,3\\}", false},
      {"(3,1)", "(3, 1)", true},
      {"(3,1)", "x=3, y=1", true},
      {"(3,1)", "y=1, x=3", true},
      {"x=1, y=2", "y=2, x=1", true},
      {"x=1, y=2", "y=1, x=2", false},
      {"\\pm 2", "2, -2", true},
      {"1 \\pm \\sqrt2", "\\{1+\\sqrt2, 1-\\sqrt2\\}", true},
      {"11111111100", "(11,111,111,100)", false},
      {"\\{1,2\\} \\cup \\{3\\}", "\\{1,2,3\\}", true},
      {"6, 8\\text{, and }10", "6, 8, 10", true},
      {"75^\\circ, 75^\\circ", "75^\\circ", false},
      {"\\begin{pmatrix}1\\\\2\\end{pmatrix}", "(1,2)", true},
      {"\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{bmatrix}1&2\\\\3&4.0\\end{bmatrix}",
       true},
      {"\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{pmatrix}1&2\\\\3&5\\end{pmatrix}",
       false},
      {"\\begin{pmatrix}2\\\\4\\end{pmatrix}", "2\\begin{pmatrix}1\\\\2\\end{pmatrix}", true},
  });
}

TEST(MathPolicy, Intervals) {
  Expect({
      {"[-2,7]", "-2 \\le x \\le 7", true},
      {"[-2,7]", "-2 < x \\le 7", false},
      {"[-2,7]", "x \\in [-2,7]", true},
      {"(-\\infty, 2)", "x < 2", true},
      {"(-\\infty, 2)", "2 > x", true},
      {"x < 1", "-x > -1", true},
      {"x<1", "x>-1", false},
      {"(0,1)", "[0,1]", false},
      {"[1,\\infty)", "[2^{1/2^{1000}},\\infty)", false},
      {"27", "[0,999]", false},
      {"(-\\infty,2) \\cup (3,\\infty)", "x<2 \\text{ or } x>3", true},
      {"(-\\infty,5)\\cup(5,\\infty)", "x \\ne 5", true},
      {"(-\\infty,5)\\cup(5,\\infty)", "\\mathbb{R} \\setminus \\{5\\}", true},
      {"(3,\\infty)\\cup(-\\infty,2)", "(-\\infty,2)\\cup(3,\\infty)", true},
      {"[0,1]\\cup[1,2]", "[0,2]", true},
      {"[0,1)\\cup(1,2]", "[0,2]", false},
      {"x > 2", "2x + 3 > 7", false},
  });
}

TEST(MathPolicy, EquationsAndAssignments) {
  Expect({
      {"5", "x=5", true},
      {"x=5", "5", true},
      {"x=5", "2x=10", false},
      {"y=2x+3", "2x+3", true},
      {"y=2x+3", "2x-y+3=0", true},
      {"2x+4y-3=0", "y=-1/2*x+3/4", true},
      {"3x+4y+14=0", "3x-y+13=0", false},
      {"\\{2,3\\}", "x^2-5x+6=0", false},
      {"a^2+b=0", "0", false},
      {"27", "27 \\ne 28", false},
      {"27", "27 \\approx 28", false},
      {"27", "27 = 28", false},
      {"\\frac{\\sqrt3}{3}", "\\frac{\\sqrt{3}}{3} \\approx 0.577", true},
      {"4", "2+2=4", true},
      {"f(x)=0", "\\forall x>0, f(x)=0", false},
      {"f^{-1}(x)=\\frac{5+4x}{5}", "1+\\frac{4x}{5}", true},
      {"\\frac1{\\sqrt6}", "\\frac{NO}{BO}=\\frac{1}{\\sqrt{6}}", true},
  });
}

TEST(MathPolicy, Units) {
  Expect({
      {"10\\text{ cm}", "10", true},
      {"10", "10\\text{ cm}", true},
      {"10\\text{ cm}", "10\\text{ m}", false},
      {"10\\text{ cm}", "0.1\\text{ m}", true},
      {"15\\mbox{ cm}^2", "15 cm^2", true},
      {"10\\text{ units}", "10", true},
      {"2\\text{ hours}", "120\\text{ minutes}", true},
      {"\\$0.50", "50\\text{ cents}", true},
      {"40", "\\$40", true},
      {"\\$40", "40", true},
      {"575\\text{ students}", "575", true},
      {"90^\\circ", "90", true},
      {"90", "90^\\circ", true},
      {"\\frac{\\pi}{2}", "90^\\circ", true},
      {"42", "42 \\text{ is wrong, it is } 43", false},
      {"5 \\mathrm{~m/s}", "18\\text{ km/h}", true},
      {"10", "10m", true},
      {"2", "2x", false},
  });
}

TEST(MathPolicy, TimesAndRatios) {
  Expect({
      {"08:34 \\text{P.M.}", "20:34", true},
      {"12:00", "1:00", false},
      {"\\text{1:03 PM}", "1:03 p.m.", true},
      {"1:4", "2:8", true},
      {"1:4", "\\frac14", true},
      {"1:4", "4:1", false},
      {"1:2:3", "2:4:6", true},
      {"1:2:3", "1:4:9", false},
  });
}

TEST(MathPolicy, Words) {
  Expect({
      {"\\text{Evelyn}", "evelyn", true},
      {"\\text{odd}", "oddd", false},
      {"\\text{(C)}", "C", true},
      {"C", "\\text{(C)}", true},
      {"\\text{B, E, G}", "G, B, E", true},
      {"\\text{four}", "4", true},
      {"\\emptyset", "\\text{no solution}", true},
      {"42", "\\text{See above}", false},
      {"42", "\\text{undefined}", false},
      {"\\text{undefined}", "undefined", true},
      {"A", "\\text{B}", false},
      {"new york city", "New York City!", true},
  });
}

TEST(MathPolicy, NumbersInWordsAndMagnitudes) {
  Expect({
      {"21", "\\text{twenty-one}", true},
      {"2506", "two thousand five hundred and six", true},
      {"100", "one hundred", true},
      {"1000005", "one million five", true},
      {"11", "five six", false},
      {"25", "twenty fifteen", false},
      {"1200", "two hundred one thousand", false},
      {"1,500,000", "\\$1.5\\text{ million}", true},
      {"5000000", "5 \\text{ million people}", true},
      {"5", "5 \\text{ million}", false},
      {"50000", "5万", true},
      {"300000000", "3亿", true},
      {"5", "5万", false},
  });
  EXPECT_EQ(Grade("5000000", "There are 5 million people.").outcome, Outcome::kCorrect);
  EXPECT_EQ(Grade("5", "There are 5 million people.").outcome, Outcome::kWrong);
}

TEST(MathPolicy, QuestionsAreNoAnswer) {
  for (const char* response :
       {"5?", "5 ?", "5？", "\\boxed{5?}", "The answer is 5?", "#### 5?", "<answer>5?</answer>",
        "So is it 5?", "$5$?", "\\(5?\\)", "Answer: **5?**", "5?."}) {
    EXPECT_EQ(Grade("5", response).outcome, Outcome::kUnparsable) << response;
  }
  EXPECT_EQ(Grade("Paris", "\\boxed{\\text{Paris?}}").outcome, Outcome::kUnparsable);
  EXPECT_EQ(Grade("Who knows?", "\\boxed{\\text{Who knows?}}").outcome, Outcome::kCorrect);
  EXPECT_EQ(Grade("5", "Is it 4? Or 5? It is 5.").outcome, Outcome::kCorrect);
  EXPECT_EQ(Grade("5", "It is \\boxed{5}. Any questions?").outcome, Outcome::kCorrect);
}

TEST(MathPolicy, HedgesAreNoAnswer) {
  Expect({
      {"3", "3 \\text{ or more}", false},
      {"3", "\\text{at least } 3", false},
      {"3", "3 \\text{ or } 4", false},
      {"\\text{(A)}", "(A) or (B)", false},
      {"A", "A, B, C, D", false},
      {"A", "A B C D", false},
      {"A", "A. Apples", true},
      {"12", "1 2", false},
  });
  EXPECT_EQ(Grade("3", "The answer is 3? No, it is 4.").outcome, Outcome::kWrong);
  EXPECT_EQ(Grade("4", "The answer is 3? No, it is 4.").outcome, Outcome::kCorrect);
  EXPECT_EQ(Grade("1/3", "The probability is $\\frac{1}{3}$, or about 33.3%.").outcome,
            Outcome::kCorrect);
}

TEST(MathPolicy, Displays) {
  Expect({
      {"30", "\\begin{aligned} x &= 10 + 20 \\\\ &= 30 \\end{aligned}", true},
      {"30", "\\begin{aligned} x &= 10 + 20 \\\\ &= 31 \\end{aligned}", false},
      {"(1,2)", "\\begin{cases} x=1 \\\\ y=2 \\end{cases}", true},
      {"\\begin{cases} x=1 \\\\ y=2 \\end{cases}", "x=1, y=2", true},
      {"\\begin{cases} x=1 \\\\ y=2 \\end{cases}", "x=2, y=1", false},
  });
}

TEST(MathPolicy, UnevaluatedIsNoAnswer) {
  Expect({
      {"5050", "\\sum_{k=1}^{100}k", false},
      {"1", "\\lim_{x\\to0}\\frac{\\sin x}{x}", false},
      {"6", "\\gcd(12, 18)", false},
      {"\\sum_{k=1}^n a_k b_k", "\\sum_{k=1}^n b_k a_k", true},
  });
  EXPECT_EQ(Grade("6", "\\boxed{\\gcd(12, 18)}").outcome, Outcome::kUnparsable);
}

TEST(MathPolicy, SeveralBoxes) {
  EXPECT_EQ(Grade("1/2", "So \\boxed{1/2}, i.e. \\boxed{0.5}.").outcome, Outcome::kCorrect);
  EXPECT_EQ(Grade("5", "\\boxed{3}, \\boxed{4}, \\boxed{5}").outcome, Outcome::kWrong);
  EXPECT_EQ(Grade("\\{3,5\\}", "\\boxed{3} and \\boxed{5}").outcome, Outcome::kCorrect);
  EXPECT_NE(Grade("4", "\\boxed{3 \\boxed{4}}").outcome, Outcome::kCorrect);
}

TEST(MathPolicy, ProseIsReadButNotGuessed) {
  EXPECT_EQ(Grade("13", "So he has 3 + 10 = 13 apples.").outcome, Outcome::kCorrect);
  EXPECT_NE(Grade("42", "The answer is not 42.").outcome, Outcome::kCorrect);
  EXPECT_NE(Grade("50", "42 43 44 45 46 47 48 49 50").outcome, Outcome::kCorrect);
  EXPECT_NE(Grade("42", "It is 41 or 42.").outcome, Outcome::kCorrect);
  EXPECT_EQ(Grade("B", "I first thought of a bird, but the answer is B.").outcome,
            Outcome::kCorrect);
  EXPECT_EQ(Grade("6", "He sells 2*3=<<2*3=6>>6.\n#### 6").outcome, Outcome::kCorrect);
}

TEST(MathGrader, TellsWhyThereIsNoVerdict) {
  EXPECT_EQ(Grade("5", "<think>5").outcome, Outcome::kUnparsable);
  EXPECT_EQ(Grade("5", "<think>5").detail, "unclosed_thought");
  EXPECT_EQ(Grade("5", "\\boxed{5").detail, "unclosed_box");
  EXPECT_EQ(Grade("5", "<think>5</think> ").detail, "no_answer");
  EXPECT_EQ(Grade("5", "\\boxed{}").detail, "no_answer");
  EXPECT_EQ(Grade("5", "\\boxed{\\phantom{5}}").outcome, Outcome::kUnparsable);
  EXPECT_EQ(Grade("5", "\\boxed{5 @ 7}").detail, "unparsable_answer");
  EXPECT_EQ(Grade("", "5").outcome, Outcome::kError);
  EXPECT_EQ(Grade("", "").detail, "unparsable_gold");
  EXPECT_EQ(Grade("\\frac{0}{0}", "\\boxed{\\frac{0}{0}}").detail, "unparsable_gold");
}

TEST(MathGrader, ReadsDatesAsWords) {
  EXPECT_EQ(Grade("\\text{June 20}", "June 20").outcome, Outcome::kCorrect);
  EXPECT_EQ(Grade("\\text{June 20}", "The answer is June 20.").outcome, Outcome::kCorrect);
  EXPECT_NE(Grade("\\text{June 20}", "The answer is June 21.").outcome, Outcome::kCorrect);
  EXPECT_EQ(Grade("17", "A: 17").outcome, Outcome::kCorrect);
}

TEST(MathGrader, ReadsGoldsAsDataSetsWriteThem) {
  EXPECT_EQ(Grade("He sells 2*3=<<2*3=6>>6.\n#### 6", "6").outcome, Outcome::kCorrect);
  EXPECT_EQ(Grade("so it is $\\boxed{6}$.", "6").outcome, Outcome::kCorrect);
  EXPECT_EQ(Grade("['4.49\\n', '4.5']", "\\boxed{4.49}").outcome, Outcome::kCorrect);
  EXPECT_EQ(Grade("['4.49\\n', '4.5']", "\\boxed{4.6}").outcome, Outcome::kWrong);
}

TEST(MathGrader, SaysWhichGoldCantBeMatched) {
  EXPECT_TRUE(MathGrader().CheckGold("\\frac{3}{4}").ok());
  EXPECT_EQ(MathGrader().CheckGold("").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MathGrader().CheckGold("\\frac{1}{0}").code(), absl::StatusCode::kInvalidArgument);
}

// None of these may take long; the test's own time limit would tell.
TEST(MathGrader, ComesBackFromBombs) {
  const auto repeat = [](absl::string_view what, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) absl::StrAppend(&all, what);
    return all;
  };
  const std::string bombs[] = {"9^{9^{9^{9}}}",
                               "(10^{8})!",
                               "((10^8)!)!",
                               "\\min(4, 2^4E382)",
                               "(a+b+c+d+e)^{200}",
                               "9^{9^{9^{9^{9}}}} - 9^{9^{9^{9^{9}}}} + 4",
                               repeat("(", 20000) + "4" + repeat(")", 20000),
                               repeat("7", 200000),
                               repeat("7", 60000),
                               repeat("\\sqrt{", 5000) + "4" + repeat("}", 5000),
                               repeat("\\frac{1}{1+", 150) + "1" + repeat("}", 150),
                               repeat("x^{", 150) + "2" + repeat("}", 150),
                               repeat("1\\frac{", 150) + "1" + repeat("}{2}", 150),
                               repeat("f(", 150) + "f" + repeat(")", 150),
                               repeat("C_{", 150) + "1" + repeat("}^2", 150),
                               repeat("1,", 30000) + "1",
                               repeat("1,111,", 10000) + "11",
                               repeat("(x+1)", 2000),
                               repeat("x+", 4000) + "1",
                               repeat("\\sin ", 3000) + "1",
                               repeat("|", 20000),
                               repeat("-", 59999) + "4",
                               repeat("!", 60000),
                               "4" + repeat("!", 30),
                               repeat("::", 30000),
                               "1e999999999",
                               "10^{10^{10}}",
                               "\\binom{10^9}{5\\cdot 10^8}",
                               "(\\sqrt2+\\sqrt3)^{100000}",
                               "\\{" + repeat("\\sqrt2,", 200) + "1\\}",
                               repeat("2^", 1000) + "2",
                               "1+10^{-100000}",
                               "e^{-100000}",
                               repeat("a_{", 3000),
                               repeat("\\begin{matrix}", 3000),
                               repeat("\\text{", 9000)};
  for (const std::string& bomb : bombs) {
    for (const std::string& gold : {std::string("4"), std::string("x+1"),
                                    std::string("\\{\\sqrt{2}, 3\\}"), bomb.substr(0, 3000)}) {
      const Verdict verdict = Grade(gold, absl::StrCat("\\boxed{", bomb, "}"));
      if (gold == "4") {
        EXPECT_NE(verdict.outcome, Outcome::kCorrect) << bomb.substr(0, 60);
      }
    }
  }
}

// Deterministic, from any thread.
TEST(MathGrader, SaysTheSameOnEveryThread) {
  const Case cases[] = {{"\\sqrt{8}", "2\\sqrt2", true},
                        {"x^2+2x+1", "(x+1)^2", true},
                        {"\\sin(2x)", "2\\sin x\\cos x", true},
                        {"\\frac{1}{2004!}", "\\frac{1}{2006!}", false}};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        for (const Case& c : cases)
          EXPECT_EQ(
              Grade(c.gold, absl::StrCat("\\boxed{", c.answer, "}")).outcome == Outcome::kCorrect,
              c.correct);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace math_grader_test
}  // namespace ponder::verifier
