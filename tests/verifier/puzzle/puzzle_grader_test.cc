// Every family at every level: the generator's solution is right, broken ones are wrong, and
// nothing that is written crashes the grader.
#include "verifier/puzzle/puzzle_grader.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/philox.h"
#include "data/puzzle/generators.h"
#include "gtest/gtest.h"
#include "tests/verifier/puzzle/rules.h"
#include "verifier/puzzle/checkers.h"

namespace ponder::verifier {
namespace puzzle_grader_test {

using data::puzzle::Gold;
using data::puzzle::Puzzle;
using Outcome = Verdict::Outcome;

constexpr int kSeeds = 20;  // of each family and level

Verdict Judge(const std::string& gold, const std::string& response) {
  return PuzzleGrader().Grade({gold, response}, absl::InfiniteFuture());
}

bool Accepts(const std::string& gold, const std::string& response) {
  return Judge(gold, response).outcome == Outcome::kCorrect;
}

std::string Fields(const std::string& family, const std::string& instance) {
  return absl::StrCat(R"({"family":")", family, R"(","instance":)", instance, "}");
}

// One small change: two characters exchanged, one replaced, dropped or doubled, two words or lines
// exchanged.
std::string Mutated(std::string text, Rng& rng) {
  const auto at = [&](size_t size) { return static_cast<size_t>(rng.NextInt(0, size - 1)); };
  const int64_t kind = rng.NextInt(0, 4);
  const char* const gap = kind == 3 ? " " : "\n";
  switch (kind) {
    case 0:
      std::swap(text[at(text.size())], text[at(text.size())]);
      return text;
    case 1:
      text[at(text.size())] = text[at(text.size())];
      return text;
    case 2: {
      const size_t i = at(text.size());
      return rng.NextInt(0, 1) == 0 ? text.substr(0, i) + text.substr(i + 1)
                                    : text.substr(0, i) + text.substr(i > 0 ? i - 1 : 0);
    }
    default: {
      std::vector<std::string> parts = absl::StrSplit(text, gap);
      std::swap(parts[at(parts.size())], parts[at(parts.size())]);
      return absl::StrJoin(parts, gap);
    }
  }
}

// What the families without a second reading of their rules, which have one solution, leave open:
// signs and spaces, and the order of what is named.
std::string Essence(const std::string& family, const std::string& text) {
  const bool by_name = family == "knights", by_line = family == "zebra",
             by_field = family == "minesweeper";
  std::vector<std::string> parts(1);
  int numbers = 0;
  for (const char c : text) {
    const bool counts =
        isalnum(static_cast<unsigned char>(c)) || (family == "procedure" && (c == '#' || c == '.'));
    if ((by_name && isupper(static_cast<unsigned char>(c))) || (by_line && c == '\n'))
      parts.emplace_back();
    // Two numbers make a field.
    const bool starts = counts && (parts.back().empty() || parts.back().back() == ' ');
    if (by_field && starts && numbers++ % 2 == 0) parts.emplace_back();
    if (counts) {
      parts.back().push_back(static_cast<char>(tolower(static_cast<unsigned char>(c))));
    } else if (by_line || by_field) {
      parts.back().push_back(' ');
    }
  }
  std::vector<std::string> essential;
  for (const std::string& part : parts) {
    std::vector<std::string> words = absl::StrSplit(part, ' ', absl::SkipEmpty());
    if (by_line) std::sort(words.begin(), words.end());
    if (!words.empty()) essential.push_back(absl::StrJoin(words, " "));
  }
  std::sort(essential.begin(), essential.end());
  return absl::StrJoin(essential, "|");
}

class Families : public ::testing::TestWithParam<data::puzzle::Generator> {};

TEST_P(Families, TheSolutionIsRightAndBrokenOnesAreWrong) {
  const std::string family = GetParam().family;
  Rng rng(11, absl::StrCat("mutations/", family));
  int wrong = 0, right = 0;
  for (int level = 1; level <= 10; ++level) {
    for (int seed = 0; seed < kSeeds; ++seed) {
      SCOPED_TRACE(absl::StrCat("level ", level, " seed ", seed));
      const auto made = data::puzzle::MakePuzzle(family, level, seed);
      ASSERT_TRUE(made.ok()) << made.status();
      const std::string gold = Gold{family, made->instance}.ToJson(),
                        instance = made->instance.ToJson(), &solution = made->solution;
      ASSERT_TRUE(PuzzleGrader().CheckGold(gold).ok()) << PuzzleGrader().CheckGold(gold);
      const Verdict verdict =
          Judge(gold, absl::StrCat("<think>so</think><answer>", solution, "</answer>"));
      ASSERT_EQ(verdict.outcome, Outcome::kCorrect) << verdict.reason << "\n"
                                                    << made->question << "\n"
                                                    << solution;
      EXPECT_TRUE(Accepts(gold, solution)) << solution;
      ASSERT_TRUE(!HasRules(family) || Solves(family, instance, solution)) << solution;
      for (int i = 0; i < 5; ++i) {
        const std::string mutated = Mutated(solution, rng);
        const Verdict found = Judge(gold, absl::StrCat("<answer>", mutated, "</answer>"));
        ASSERT_NE(found.outcome, Outcome::kError) << found.reason;
        if (found.outcome == Outcome::kCorrect) {
          // Still right by the rules; where there is only one solution, it must be that.
          ++right;
          const bool solves = HasRules(family)
                                  ? Solves(family, instance, mutated)
                                  : Essence(family, mutated) == Essence(family, solution);
          EXPECT_TRUE(solves) << made->question << "\n" << solution << "\n" << mutated;
        } else {
          ++wrong;
          EXPECT_FALSE(found.outcome == Outcome::kWrong && HasRules(family) &&
                       mutated != "impossible" && Solves(family, instance, mutated))
              << found.reason << "\n"
              << mutated;
        }
      }
    }
  }
  EXPECT_GT(wrong, 200) << right;
}

// The answer of one puzzle to another one.
TEST_P(Families, OtherPuzzlesAnswersAreWrong) {
  const std::string family = GetParam().family;
  std::vector<std::string> solutions, golds, instances;
  for (int seed = 100; seed < 120; ++seed) {
    const auto made = data::puzzle::MakePuzzle(family, 6, seed);
    ASSERT_TRUE(made.ok());
    golds.push_back(Gold{family, made->instance}.ToJson());
    instances.push_back(made->instance.ToJson());
    solutions.push_back(made->solution);
  }
  int accepted = 0;
  for (size_t a = 0; a < golds.size(); ++a) {
    for (size_t b = 0; b < golds.size(); ++b) {
      if (a == b || solutions[a] == solutions[b]) continue;
      const bool accepts = Accepts(golds[a], absl::StrCat("<answer>", solutions[b], "</answer>"));
      accepted += accepts;
      EXPECT_TRUE(!accepts || !HasRules(family) || Solves(family, instances[a], solutions[b]));
      // Both in one response: a hedge.
      if (accepts) continue;
      EXPECT_FALSE(Accepts(golds[a], absl::StrCat("<answer>", solutions[b], "</answer> or <answer>",
                                                  solutions[a], "</answer>")) &&
                   Judge(golds[a], absl::StrCat("<answer>", solutions[b], "</answer>")).outcome ==
                       Outcome::kWrong);
    }
  }
  EXPECT_LT(accepted, 40);
}

TEST_P(Families, NothingThatIsWrittenCrashes) {
  const std::string family = GetParam().family;
  const auto made = data::puzzle::MakePuzzle(family, 5, 1);
  ASSERT_TRUE(made.ok());
  const std::string gold = Gold{family, made->instance}.ToJson();
  Rng rng(13, absl::StrCat("noise/", family));
  std::vector<std::string> answers = {"",
                                      " ",
                                      "\n\n",
                                      "None",
                                      "[]",
                                      "{}",
                                      "()",
                                      "0",
                                      "-1",
                                      "Q",
                                      "A",
                                      "1/0",
                                      "nan",
                                      "True or False",
                                      std::string("\0\xff", 2),
                                      std::string(100'000, '('),
                                      std::string(100'000, '1'),
                                      std::string(100'000, ' '),
                                      "答案",
                                      "Thought process:"};
  for (int i = 0; i < 200; ++i) {
    std::string noise;
    for (int64_t k = rng.NextInt(1, 60); k > 0; --k)
      noise.push_back("0123456789ABCDQUDLR .*#:=,()+-/\n\xc3"[rng.NextInt(0, 32)]);
    answers.push_back(noise);
  }
  for (const std::string& answer : answers) {
    EXPECT_FALSE(Accepts(gold, absl::StrCat("<answer>", answer, "</answer>"))) << answer;
  }
  // A broken instance is an error, never a crash and never 'wrong'.
  for (const char* broken :
       {"{}", R"({"n":3})", R"({"numbers":[]})", R"({"rows":["S","GG"],"shortest":0})"}) {
    const Verdict verdict = Judge(Fields(family, broken), "<answer>1</answer>");
    EXPECT_EQ(verdict.outcome, Outcome::kError) << broken << verdict.reason;
    EXPECT_FALSE(PuzzleGrader().CheckGold(Fields(family, broken)).ok());
  }
}

INSTANTIATE_TEST_SUITE_P(All, Families, ::testing::ValuesIn(data::puzzle::Generators()),
                         [](const auto& info) {
                           return absl::StrCat("F", info.index, "_", info.param.family);
                         });

TEST(PuzzleGrader, HasACheckerForEveryGenerator) {
  const auto generators = data::puzzle::Generators();
  const auto checkers = puzzle::Checkers();
  ASSERT_EQ(generators.size(), checkers.size());
  ASSERT_EQ(generators.size(), 22u);
  for (size_t i = 0; i < checkers.size(); ++i)
    EXPECT_STREQ(generators[i].family, checkers[i].family);
}

// What other verifiers pay for: evaluation of the text, truncation to integers, any four numbers,
// half of an answer.
TEST(PuzzleGrader, PaysNothingForTheKnownHacks) {
  const std::string gold = Fields("24", R"({"numbers":[1,2,3,4]})");
  EXPECT_TRUE(Accepts(gold, "(1+2+3)*4"));
  EXPECT_TRUE(Accepts(gold, "(1+2+3)*4 = 24"));
  EXPECT_TRUE(Accepts(gold, "The answer is \\boxed{(1+2+3)\\times 4}."));
  for (const char* hack :
       {"6*4*1*1", "6*4+1/2", "(1+2+3)*4+0", "12*(4-3)*2", "4!", "2**3*(4-1)", "24", "24 = 24",
        "len(\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\")-1-2-3-4", "impossible", "(1+2+3)*4 = 25",
        "__import__(\"os\").system(\"id\") or 24", "1+2+3+4/0", "", "(1+2+3)*4, or 1*2*3*4*1",
        "impossible, or (1+2+3)*4", "<think>(1+2+3)*4</think>", "<think>(1+2+3)*4"}) {
    EXPECT_FALSE(Accepts(gold, hack)) << hack;
  }
  EXPECT_TRUE(Accepts(Fields("24", R"({"numbers":[1,1,1,1]})"), "cannot form 24"));
  EXPECT_FALSE(Accepts(Fields("24", R"({"numbers":[3,3,8,8]})"), "cannot form 24"));
  EXPECT_FALSE(
      Accepts(Fields("boolean", R"j({"formulas":["(True or False)"]})j"), "True or False"));
  EXPECT_TRUE(Accepts(Fields("boolean", R"j({"formulas":["(True or False)"]})j"), "True"));
  const std::string knights = Fields(
      "knights",
      R"j({"people":3,"speakers":[0,1,2],"statements":["(A iff B)","(not C)","(A and B)"]})j");
  EXPECT_FALSE(Accepts(knights, "A: knight, B: knight"));
  EXPECT_FALSE(Accepts(knights, "A: knight, A: knave, B: knight, C: knave"));
}

TEST(PuzzleGrader, TellsApartWhatIsMissing) {
  const std::string gold = Fields("24", R"({"numbers":[1,2,3,4]})");
  const auto detail = [&](const char* response) { return Judge(gold, response).detail; };
  EXPECT_EQ(detail("<think>hm"), "unclosed_thought");
  EXPECT_EQ(detail("<answer>(1+2"), "unclosed_answer");
  EXPECT_EQ(detail("<think></think>"), "no_answer");
  EXPECT_EQ(detail("I don't know"), "unparsable_answer");
  EXPECT_EQ(Judge("{}", "1").detail, "unparsable_gold");
  EXPECT_EQ(Judge(Fields("chess", "{}"), "1").detail, "unparsable_gold");
}

// Sudoku instances with several solutions: any of them.
TEST(PuzzleGrader, AnyValidCompletionIsRight) {
  const std::string gold =
      Fields("sudoku", R"({"n":4,"box_rows":2,"givens":[1,2,3,4,0,0,0,0,0,0,0,0,0,0,0,0]})");
  const std::string one = "1 2 3 4\n3 4 1 2\n2 1 4 3\n4 3 2 1", two = "1234\n3412\n4321\n2143";
  EXPECT_TRUE(Accepts(gold, one));
  EXPECT_TRUE(Accepts(gold, absl::StrCat("```\n", two, "\n```")));
  EXPECT_FALSE(Accepts(gold, absl::StrCat(one, "\n\n", two)));
  EXPECT_FALSE(Accepts(gold, "1 2 3 4\n3 4 1 2\n2 1 4 3\n4 3 1 2"));
}

}  // namespace puzzle_grader_test
}  // namespace ponder::verifier
