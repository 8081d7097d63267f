// The puzzle generators: the same bytes everywhere, distinct puzzles, disjoint sets.
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/philox.h"
#include "data/puzzle/expression.h"
#include "data/puzzle/formula.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/grid.h"
#include "data/puzzle/mines.h"
#include "data/puzzle/puzzle_set.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder::data::puzzle {
namespace puzzle_test {

TEST(Puzzles, SeedAndLevelGiveTheSameBytesEverywhere) {
  std::vector<std::string> hashes;
  for (const Generator& generator : Generators()) {
    std::string bytes;
    for (int level = 1; level <= 10; ++level) {
      const auto puzzle = MakePuzzle(generator.family, level, 7);
      ASSERT_TRUE(puzzle.ok()) << puzzle.status();
      absl::StrAppend(&bytes, puzzle->instance.ToJson(), puzzle->question, puzzle->solution);
    }
    hashes.push_back(absl::StrCat(generator.family, " ", absl::Hex(StableHash(bytes))));
  }
  EXPECT_THAT(
      hashes,
      ::testing::ElementsAre(
          "24 b0159b093f1a21b4", "countdown cfda1873e2722738", "sudoku 42e18bde9ae63b59",
          "maze 466d3d763736c456", "knights f79df436475ec5a6", "zebra de127455c32047a5",
          "nqueens 8087367748882a06", "futoshiki ea0f707a740dffee", "calcudoku 14785a14b70eae3f",
          "skyscrapers 239a431c39a715f5", "takuzu 9cb1c42ccc8bf99", "star_battle 77061c19fa0b48cc",
          "minesweeper 1b6a664d77a477e", "survo f33a6e0cad624477", "numbrix 5e082a2c009f1513",
          "cryptarithm 4fba2df9970a5220", "sliding 614994b9f76f21a8", "hanoi f6afa63ad0dfa67",
          "graph 16472831eaff38e3", "boolean 808596b86255f8a0", "cipher c8bf10778c7f9f3",
          "procedure f8ed9353183cbc50"));
}

TEST(Puzzles, InstancesSurviveTheirJson) {
  for (const Generator& generator : Generators()) {
    const auto puzzle = MakePuzzle(generator.family, 4, 3);
    ASSERT_TRUE(puzzle.ok());
    const Gold gold{generator.family, puzzle->instance};
    const auto again = ParseGold(gold.ToJson());
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->family, generator.family);
    EXPECT_EQ(again->instance.ToJson(), puzzle->instance.ToJson());
  }
}

TEST(Puzzles, GoldsThatAreNoneAreTold) {
  for (const char* broken :
       {"", "7", "{}", R"({"family":"24"})", R"({"family":4,"instance":{}})",
        R"({"family":"24","instance":7})", R"({"family":"24","instance":{"numbers":[1,"a"]}})",
        R"({"family":"24","instance":{"numbers":[99999999999]}})"}) {
    EXPECT_EQ(ParseGold(broken).status().code(), absl::StatusCode::kInvalidArgument) << broken;
  }
  const auto plain = ParseGold(R"({"family":"24","instance":"1 2 3 4"})");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->instance.ToJson(), R"({"numbers":[1,2,3,4]})");
}

TEST(Puzzles, UnknownFamiliesAndLevelsAreErrors) {
  EXPECT_EQ(MakePuzzle("sudoku", 11, 1).status().message(),
            "puzzles have levels 1 to 10, level 11 is asked for");
  EXPECT_THAT(std::string(MakePuzzle("chess", 1, 1).status().message()),
              ::testing::StartsWith("no puzzle family is called 'chess'; there are 24, countdown"));
}

TEST(Puzzles, TrainingAndHeldOutSetsShareNothingWhateverTheSeed) {
  std::set<std::string> trained, held_out;
  for (const uint64_t seed : {1, 2}) {
    const auto set = MakePuzzleSet("sudoku", 3, 40, 10, seed);
    ASSERT_TRUE(set.ok()) << set.status();
    ASSERT_EQ(set->train.size(), 40u);
    ASSERT_EQ(set->eval.size(), 10u);
    for (const Trace& trace : set->train) {
      EXPECT_EQ(trace.prompt.kind, "puzzle");
      EXPECT_EQ(trace.prompt.source, "puzzle.sudoku");
      EXPECT_EQ(trace.prompt.difficulty, 3);
      trained.insert(trace.prompt.gold);
    }
    for (const Prompt& prompt : set->eval) held_out.insert(prompt.gold);
  }
  for (const std::string& gold : held_out) EXPECT_EQ(trained.count(gold), 0u);
  EXPECT_GT(trained.size(), 70u);  // other seeds, other puzzles
  EXPECT_EQ(MakePuzzleSet("hanoi", 1, 1000, 0, 1).status().code(), absl::StatusCode::kOutOfRange);
}

// Against a slow reading of the rules.
TEST(Puzzles, SudokusHaveOneSolution) {
  const auto count = [](auto&& self, std::vector<int>& cells, int n, int box_rows) -> int {
    int at = 0;
    while (at < n * n && cells[at] != 0) ++at;
    if (at == n * n) return 1;
    int found = 0;
    for (int value = 1; value <= n; ++value) {
      bool free = true;
      for (int i = 0; i < n * n && free; ++i) {
        const bool same_box = i / n / box_rows == at / n / box_rows &&
                              i % n / (n / box_rows) == at % n / (n / box_rows);
        free = cells[i] != value || (i / n != at / n && i % n != at % n && !same_box);
      }
      if (!free) continue;
      cells[at] = value;
      found += self(self, cells, n, box_rows);
      cells[at] = 0;
    }
    return found;
  };
  for (int level = 1; level <= 6; ++level) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      const auto puzzle = MakePuzzle("sudoku", level, seed);
      ASSERT_TRUE(puzzle.ok());
      InstanceReader in(puzzle->instance);
      const int n = in.Int("n", 4, 16);
      std::vector<int> cells = in.Ints("givens", n * n, 0, n);
      EXPECT_EQ(count(count, cells, n, in.Int("box_rows", 1, n)), 1) << level << " " << seed;
    }
  }
}

// All boards of up to 2^14, tried out.
TEST(Puzzles, ForcedMinesAreThoseOfAllBoards) {
  Rng rng(5, "boards");
  int proven = 0;
  for (int board = 0; board < 200; ++board) {
    MineField field{4, 4, std::vector<int>(16, kHidden)};
    std::vector<int> mine(16), hidden;
    for (int& m : mine) m = rng.NextInt(0, 3) == 0;
    const auto around = [&](int cell, const std::vector<int>& mines) {
      int sum = 0;
      for (int other = 0; other < 16; ++other) {
        const int dr = other / 4 - cell / 4, dc = other % 4 - cell % 4;
        if (other != cell && dr * dr <= 1 && dc * dc <= 1) sum += mines[other];
      }
      return sum;
    };
    for (int cell = 0; cell < 16; ++cell) {
      if (mine[cell] == 0 && rng.NextInt(0, 1) == 0) field.shown[cell] = around(cell, mine);
      if (field.shown[cell] == kHidden) hidden.push_back(cell);
    }
    std::vector<int> always(16, 1);
    for (int bits = 0; bits < 1 << hidden.size(); ++bits) {
      std::vector<int> tried(16);
      for (size_t i = 0; i < hidden.size(); ++i) tried[hidden[i]] = bits >> i & 1;
      bool fits = true;
      for (int cell = 0; cell < 16 && fits; ++cell)
        fits = field.shown[cell] == kHidden || field.shown[cell] == around(cell, tried);
      for (int cell = 0; fits && cell < 16; ++cell) always[cell] &= tried[cell];
    }
    std::vector<int> expected, found;
    for (int cell = 0; cell < 16; ++cell) {
      if (always[cell] == 1) expected.push_back(cell);
    }
    ASSERT_EQ(ForcedMines(field, &found), MineProof::kProven);
    EXPECT_EQ(found, expected) << board;
    proven += !expected.empty();
  }
  EXPECT_GT(proven, 20);
}

TEST(Expressions, AreExact) {
  const auto value = [](const char* text) -> std::string {
    const auto expression = ParseExpression(text);
    if (!expression) return "none";
    if (!expression->value) return "no value";
    return absl::StrCat(expression->value->num, "/", expression->value->den);
  };
  EXPECT_EQ(value("8/(3-8/3)"), "24/1");
  EXPECT_EQ(value("1/3+1/3+1/3"), "1/1");
  EXPECT_EQ(value("\\frac{1}{2} \\times (3 - 5)"), "-1/1");
  EXPECT_EQ(value("6 × 4 ÷ 3 − 1"), "7/1");
  EXPECT_EQ(value("1+2/(3-3)"), "no value");
  EXPECT_EQ(value("999999999*999999999*999999999"), "no value");
  for (const char* none : {"", "2**3", "4//1", "-1+2", "1.5", "2^3", "(1+2", "1+2)", "1 2", "a",
                           "__import__('os')", "len(\"aaa\")", "1e3", "()", "1+", "12345678901"}) {
    EXPECT_EQ(value(none), "none") << none;
  }
  EXPECT_EQ(value((std::string(5000, '(') + "1").c_str()), "none");
}

TEST(Expressions, TheSearchIsComplete) {
  std::string found;
  EXPECT_EQ(FindExpression({3, 3, 8, 8}, 24, 10'000, &found), Search::kFound);
  EXPECT_EQ(found, "(8/(3-(8/3)))");
  EXPECT_EQ(FindExpression({1, 1, 1, 1}, 24, 10'000, &found), Search::kImpossible);
  EXPECT_EQ(FindExpression({1, 1, 1, 1, 1}, 999, 100, &found), Search::kOverBudget);
}

TEST(Formulas, FollowTheTruthTables) {
  EXPECT_EQ(Evaluate("(A and (not B))", 0b01), true);
  EXPECT_EQ(Evaluate("(A iff B)", 0b00), true);
  EXPECT_EQ(Evaluate("(A implies B)", 0b01), false);
  EXPECT_EQ(Evaluate("(A xor True)", 0b01), false);
  for (const char* none : {"", "A B", "(A)", "(A and B", "not A", "a", "(A nand B)"}) {
    EXPECT_EQ(Evaluate(none, 0), std::nullopt) << none;
  }
}

}  // namespace puzzle_test
}  // namespace ponder::data::puzzle
