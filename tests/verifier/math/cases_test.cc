// The verifier against decided cases, golds and hacks of tests/data/verifier/.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/verifier/math/hostile_text.h"
#include "verifier/math/math_grader.h"

namespace ponder::verifier {
namespace cases_test {

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

// Another value than `n`, as careless or hopeful answers have them.
std::set<std::string> Perturbed(long n) {
  const std::string digits = std::to_string(n);
  std::set<std::string> others = {std::to_string(n + 1), std::to_string(n * 10),
                                  std::to_string(-n)};
  for (size_t i = 0; i + 1 < digits.size(); ++i) {
    std::string swapped = digits;
    std::swap(swapped[i], swapped[i + 1]);
    if (std::strtol(swapped.c_str(), nullptr, 10) != n) others.insert(swapped);
  }
  others.erase(digits);
  others.erase("-0");
  if (n == 0) others.erase("0");
  return others;
}

TEST(Cases, Gsm8kGoldsTakeTheirSolutionsAndNoOtherValue) {
  std::ifstream lines(PONDER_SOURCE_DIR "/tests/data/gsm8k_train_50.jsonl");
  int golds = 0;
  for (std::string line; std::getline(lines, line); ++golds) {
    const std::string solution = nlohmann::json::parse(line)["answer"];
    const size_t hashes = solution.rfind("####");
    const std::string work = solution.substr(0, hashes), gold = solution.substr(hashes + 5);
    const auto correct = [&](const std::string& response) {
      return MathGrader().Grade({gold, response}, absl::InfiniteFuture()).outcome ==
             Verdict::Outcome::kCorrect;
    };
    EXPECT_TRUE(correct(solution)) << solution;
    std::string plain = gold;
    plain.erase(std::remove(plain.begin(), plain.end(), ','), plain.end());
    for (const std::string& other : Perturbed(std::strtol(plain.c_str(), nullptr, 10))) {
      EXPECT_FALSE(correct(work + "#### " + other)) << gold << " and " << other;
      EXPECT_FALSE(correct(work + "The answer is " + other + ".")) << gold << " and " << other;
      EXPECT_FALSE(correct("\\boxed{" + other + "}")) << gold << " and " << other;
      EXPECT_FALSE(correct(other)) << gold << " and " << other;
    }
  }
  EXPECT_EQ(golds, 50);
}

// bench_verifier runs many more of these, and measures.
TEST(Cases, HostileTextsEndAndNoneIsJudgedInSilence) {
  constexpr uint64_t kSeed = 20261126;
  SCOPED_TRACE(kSeed);
  std::ifstream lines(PONDER_SOURCE_DIR "/tests/data/verifier/math.jsonl");
  std::vector<std::string> golds, responses;
  for (std::string line; std::getline(lines, line);) {
    const auto one = nlohmann::json::parse(line);
    golds.push_back(one["gold"]);
    responses.push_back(one["response"]);
  }
  math::HostileText texts(responses, kSeed);
  for (int i = 0; i < 5000; ++i) {
    const std::string& gold = golds[i % golds.size()];
    const std::string response = texts.Next();
    const Verdict verdict = MathGrader().Grade({gold, response}, absl::InfiniteFuture());
    EXPECT_FALSE(verdict.reason.empty()) << gold << " and " << response;
    // Whatever is not judged says why in a word.
    const bool judged = verdict.outcome == Verdict::Outcome::kCorrect ||
                        verdict.outcome == Verdict::Outcome::kWrong;
    EXPECT_EQ(judged, verdict.detail.empty()) << gold << " and " << response;
  }
}

}  // namespace cases_test
}  // namespace ponder::verifier
