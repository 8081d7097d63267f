// The verifier against decided cases, golds and hacks of tests/data/verifier/.
#include <fstream>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "verifier/math/math_grader.h"

namespace ponder::verifier {
namespace {

struct Count {
  int cases = 0;
  std::vector<std::string> accepted_wrongly;
  std::vector<std::string> not_accepted;
  double agreement() const {
    return 1.0 - static_cast<double>(accepted_wrongly.size() + not_accepted.size()) / cases;
  }
};

Count Judge(const std::string& file) {
  std::ifstream lines(std::string(PONDER_SOURCE_DIR "/tests/data/verifier/") + file);
  Count count;
  for (std::string line; std::getline(lines, line);) {
    const auto c = nlohmann::json::parse(line);
    const std::string gold = c["gold"], response = c["response"];
    const Verdict verdict = MathGrader().Grade({gold, response}, absl::InfiniteFuture());
    const bool accepted = verdict.outcome == Verdict::Outcome::kCorrect;
    ++count.cases;
    if (accepted == c["correct"].get<bool>()) continue;
    std::vector<std::string>& list = accepted ? count.accepted_wrongly : count.not_accepted;
    list.push_back(c["id"].dump() + ": gold " + gold + ", read " + verdict.extracted + ", " +
                   verdict.reason);
  }
  return count;
}

void ExpectNone(const std::vector<std::string>& list) {
  for (const std::string& one : list) ADD_FAILURE() << one;
}

TEST(Cases, DecidedCasesAgreeWithoutAFalseAccept) {
  const Count count = Judge("math.jsonl");
  ASSERT_GT(count.cases, 300);
  ExpectNone(count.accepted_wrongly);
  EXPECT_GE(count.agreement(), 0.99);
}

TEST(Cases, EveryGoldEqualsItself) {
  const Count count = Judge("math_golds.jsonl");
  ASSERT_EQ(count.cases, 2500);
  ExpectNone(count.not_accepted);
}

TEST(Cases, AnswersToGsm8kAgree) {
  const Count count = Judge("gsm8k_answers.jsonl");
  ASSERT_EQ(count.cases, 1000);
  EXPECT_GE(count.agreement(), 0.995);
}

TEST(Cases, NoHackIsPaidAndNoHonestAnswerLost) {
  const Count count = Judge("math_hacks.jsonl");
  ASSERT_GT(count.cases, 50);
  ExpectNone(count.accepted_wrongly);
  ExpectNone(count.not_accepted);
}

// One value written twice. Calculus may stay unread, so that only an acceptance of different values
// would be an error; there are none of those here. The bound keeps what is read.
TEST(Cases, LatexIsRead) {
  const Count count = Judge("latex_pairs.jsonl");
  ASSERT_GT(count.cases, 600);
  EXPECT_GE(count.agreement(), 0.5);
}

}  // namespace
}  // namespace ponder::verifier
