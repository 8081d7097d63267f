// Choices and short answers in science.
#include "verifier/choice/choice_grader.h"

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "verifier/graders.h"

namespace ponder::verifier {
namespace choice_grader_test {

Verdict Judge(const std::string& gold, const std::string& response) {
  return ChoiceGrader().Grade({gold, response}, absl::InfiniteFuture());
}

bool Accepts(const std::string& gold, const std::string& response) {
  return Judge(gold, response).outcome == Verdict::Outcome::kCorrect;
}

constexpr char kCities[] =
    R"({"gold":"B","options":["Rome","Paris","A coruna","Berlin and Paris","1/2"]})";

TEST(Choice, Letters) {
  for (const char* right : {"B",
                            "(B)",
                            "b",
                            "\\boxed{B}",
                            "\\boxed{\\text{(B)}}",
                            "**B**",
                            "B.",
                            "Option B",
                            "The answer is B.",
                            "Answer: B",
                            "answer is (b)",
                            "<think>A?</think>The correct answer is **B**.",
                            "B. Because A is impossible.",
                            "B) 42",
                            "B, because C is wrong",
                            "答案是B",
                            "选B",
                            "故选 B。",
                            "Let me think. A is too small.\n\nSo the answer is: B",
                            "$\\mathbf{B}$",
                            "The answer is not A. Answer: B",
                            "<answer>B</answer>",
                            "Answer: B\n\nExplanation: C is wrong."}) {
    EXPECT_TRUE(Accepts("B", right)) << right;
  }
  for (const char* wrong :
       {"A", "\\boxed{ABCD}", "\\boxed{A \\text{ or } B}", "B or C", "A/B", "B. or C", "A, B", "",
        "Answer: $LETTER", "\\boxed{\\text{All of the above}}", "Answer: B\n\nAnswer: C",
        "<think>B", "\\boxed{B} \\boxed{C}", "Bob", "B C", "ok", "both A and B", "\\boxed{B",
        "不选B"}) {
    EXPECT_FALSE(Accepts("B", wrong)) << wrong;
  }
}

TEST(Choice, SeveralLettersAreASet) {
  for (const char* right :
       {"AC", "CA", "A, C", "\\boxed{C,A}", "A and C", "Answer: A and C", "(A), (C)", "A、C"})
    EXPECT_TRUE(Accepts("AC", right)) << right;
  for (const char* wrong : {"A", "ABC", "C", "AB", "A or C", "ABCD"})
    EXPECT_FALSE(Accepts("AC", wrong)) << wrong;
  EXPECT_TRUE(Accepts("A, C", "CA"));
}

TEST(Choice, OptionTexts) {
  for (const char* right :
       {"B", "Paris", "\\boxed{\\text{Paris}}", "The answer is Paris.", "B. Paris", "(B) paris"})
    EXPECT_TRUE(Accepts(kCities, right)) << right;
  for (const char* wrong : {"Rome", "B. Rome", "A. Paris", "Berlin and Paris", "London", "A coruna",
                            "F", "0.5", "A, B, C, D, E"})
    EXPECT_FALSE(Accepts(kCities, wrong)) << wrong;
  EXPECT_TRUE(Accepts(R"({"gold":"E","options":["Rome","Paris","x","y","1/2"]})", "0.5"));
  EXPECT_TRUE(Accepts(R"({"gold":"Paris","options":{"A":"Rome","B":"Paris"}})", "B"));
  EXPECT_TRUE(
      Accepts(R"({"gold":"C","options":["x","y","All of the above"]})", "All of the above"));
}

TEST(Choice, NumbersWithUnits) {
  EXPECT_TRUE(Accepts("2.5 km", "\\boxed{2500\\ \\text{m}}"));
  EXPECT_TRUE(Accepts("300 mA", "The answer is 0.3 A"));
  EXPECT_TRUE(Accepts("9.81 m/s^2", "9.81 \\text{ m/s}^2"));
  EXPECT_FALSE(Accepts("2.5 km", "\\boxed{2.5\\ \\text{m}}"));
  EXPECT_FALSE(Accepts("2.5 km", "\\boxed{2.5\\ \\text{kg}}"));
}

TEST(Choice, Formulas) {
  for (const char* right : {"H2SO4", "\\boxed{H_2SO_4}", "H₂SO₄", "$\\ce{H2SO4}$",
                            "\\mathrm{H_{2}SO_{4}}", "H2S1O4", "The answer is H2SO4."})
    EXPECT_TRUE(Accepts("H2SO4", right)) << right;
  for (const char* wrong :
       {"H2SO3", "HSO4", "SO4H2", "h2so4", "H2SO4 or H2SO3", "H2 SO5", "H2SO4^{2-}", "H2Xx"})
    EXPECT_FALSE(Accepts("H2SO4", wrong)) << wrong;
  EXPECT_TRUE(Accepts("SO4^{2-}", "SO₄²⁻"));
  EXPECT_TRUE(Accepts("SO4^{2-}", "SO42-"));
  EXPECT_TRUE(Accepts("Fe^{3+}", "Fe3+"));
  EXPECT_TRUE(Accepts("NH4+", "NH_4^+"));
  EXPECT_FALSE(Accepts("Fe^{3+}", "Fe2+"));
  EXPECT_FALSE(Accepts("Ca(OH)2", "CaOH2"));
  EXPECT_TRUE(Accepts("Ca(OH)2", "Ca(OH)_2"));
  EXPECT_TRUE(Accepts("CuSO4·5H2O", "CuSO_4 \\cdot 5H_2O"));
  EXPECT_FALSE(Accepts("CO", "Co"));
  EXPECT_FALSE(Accepts("HCN", "HNC"));
}

TEST(Choice, Equations) {
  const char* const gold = "2H2 + O2 -> 2H2O";
  for (const char* right : {"2H2 + O2 -> 2H2O", "O2 + 2H2 → 2H2O",
                            "\\boxed{2H_2 + O_2 \\rightarrow 2H_2O}", "4H2 + 2O2 -> 4H2O",
                            "H2 + 1/2 O2 = H2O", "2H2(g)+O2(g)->2H2O(l)", "\\ce{2H2 + O2 -> 2H2O}"})
    EXPECT_TRUE(Accepts(gold, right)) << right;
  for (const char* wrong : {"H2 + O2 -> H2O", "2H2O -> 2H2 + O2", "2H2 + O2", "2H2 + O2 -> 2H2O2",
                            "2H2 + O2 + N2 -> 2H2O + N2", "2H2 + O2 -> ", "H2O"})
    EXPECT_FALSE(Accepts(gold, wrong)) << wrong;
  EXPECT_TRUE(Accepts("Ag+ + Cl- -> AgCl", "Cl^- + Ag^+ \\to AgCl(s)"));
  EXPECT_TRUE(Accepts("MnO4^- + 5Fe^{2+} + 8H^+ -> Mn^{2+} + 5Fe^{3+} + 4H2O",
                      "5Fe2+ + MnO4- + 8H+ → Mn2+ + 5Fe3+ + 4H2O"));
}

TEST(Choice, GoldsThatCantBeMatchedAreTold) {
  for (const char* good : {"B", "AC", "H2O", "2H2 + O2 -> 2H2O", "3.5 cm", kCities})
    EXPECT_TRUE(ChoiceGrader().CheckGold(good).ok()) << ChoiceGrader().CheckGold(good);
  for (const char* bad : {"", " ", R"({"gold":"G","options":["a","b"]})", R"({"gold":3})",
                          R"({"gold":"A","options":[1,2]})"}) {
    EXPECT_FALSE(ChoiceGrader().CheckGold(bad).ok()) << bad;
    EXPECT_EQ(Judge(bad, "A").outcome, Verdict::Outcome::kError) << bad;
  }
}

// Choices and puzzles as they were gamed elsewhere.
TEST(Choice, DecidedHacks) {
  std::ifstream in(PONDER_SOURCE_DIR "/tests/data/verifier/choice_puzzle_hacks.jsonl");
  const Graders graders = MakeGraders();
  int cases = 0;
  for (std::string line; std::getline(in, line); ++cases) {
    const auto row = nlohmann::json::parse(line);
    const auto grader = graders.Find(row["kind"].get<std::string>());
    ASSERT_TRUE(grader.ok()) << grader.status();
    const std::string gold = row["gold"], response = row["response"];
    const Verdict verdict = TimedGrade(**grader, {gold, response}, absl::InfiniteFuture());
    EXPECT_NE(verdict.outcome, Verdict::Outcome::kError) << verdict.reason;
    EXPECT_EQ(verdict.outcome == Verdict::Outcome::kCorrect, row["correct"].get<bool>())
        << line << "\n"
        << verdict.reason;
  }
  EXPECT_EQ(cases, 36);
}

}  // namespace choice_grader_test
}  // namespace ponder::verifier
