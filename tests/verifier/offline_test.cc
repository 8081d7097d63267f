#include "verifier/offline.h"

#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace ponder::verifier {
namespace offline_test {

const Graders& Shipped() {
  static const Graders graders = MakeGraders();
  return graders;
}

TEST(Offline, AnswersInTheOrderOfTheLines) {
  std::string lines;
  for (int i = 0; i < 10000; ++i) {
    absl::StrAppend(&lines, R"({"id": )", i, R"(, "kind": "math", "gold": "7", "response": ")",
                    i % 10, "\"}\n");
  }
  std::istringstream in(lines);
  std::ostringstream out, errors;
  const auto report = GradeLines(JudgeWith(Shipped()), 4, in, out, errors);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->graded, 10000);
  EXPECT_EQ(errors.str(), "");
  std::istringstream answers(out.str());
  std::string line;
  for (int i = 0; i < 10000; ++i) {
    ASSERT_TRUE(std::getline(answers, line));
    const auto answer = nlohmann::ordered_json::parse(line);
    ASSERT_EQ(answer["id"], i);
    ASSERT_EQ(answer["verdict"], i % 10 == 7 ? "correct" : "wrong");
  }
  EXPECT_FALSE(std::getline(answers, line));
}

TEST(Offline, WritesTheFieldsInOrderAndEchoesAnyId) {
  std::istringstream in(
      R"({"id": ["a", 1], "kind": "math", "gold": "1", "response": "x\n#### 2"})");
  std::ostringstream out, errors;
  ASSERT_TRUE(GradeLines(JudgeWith(Shipped()), 1, in, out, errors).ok());
  EXPECT_THAT(out.str(),
              testing::StartsWith(
                  R"({"id":["a",1],"verdict":"wrong","detail":"","extracted":"2","reason":)"));
}

TEST(Offline, NamesBrokenLinesAndGradesTheOthers) {
  std::istringstream in(
      "{\"id\": 1, \"kind\": \"math\", \"gold\": \"1\", \"response\": \"1\"}\n"
      "\n"
      "{\"id\": 2, \"kind\": \"math\", \"gold\": \"1\"\n"
      "{\"id\": 3, \"kind\": \"alchemy\", \"gold\": \"1\", \"response\": \"1\"}\n"
      "{\"id\": 4, \"kind\": \"math\", \"gold\": 1, \"response\": \"1\"}\n"
      "{\"id\": 5, \"kind\": \"math\", \"gold\": \"1\", \"response\": \"1\"}\n");
  std::ostringstream out, errors;
  const auto report = GradeLines(JudgeWith(Shipped()), 2, in, out, errors);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->graded, 2);
  EXPECT_THAT(report->broken_lines, testing::ElementsAre(3, 4, 5));
  EXPECT_EQ(errors.str(),
            "line 3: not JSON\n"
            "line 4: no grader of kind 'alchemy'; known: choice, code, math, puzzle\n"
            "line 5: 'gold' is not a string\n");
}

// Says what it got for a gold.
class EchoGrader final : public Grader {
 public:
  Verdict Grade(const Question& question, absl::Time deadline) const override {
    Verdict verdict;
    verdict.extracted = std::string(question.gold);
    return verdict;
  }
  absl::Status CheckGold(absl::string_view gold) const override { return absl::OkStatus(); }
};

TEST(Offline, GathersTheFieldsOfAKindAsGold) {
  Graders::Map map;
  for (const char* kind : {"choice", "puzzle", "judge", "plain"}) {
    map[kind] = std::make_unique<EchoGrader>();
  }
  std::istringstream in(R"({"kind": "choice", "gold": "A", "options": ["x", "y"], "response": ""}
{"kind": "choice", "gold": "A", "response": "", "note": "ignored"}
{"kind": "puzzle", "family": "maze", "instance": {"n": 3}, "response": ""}
{"kind": "judge", "question": "q", "gold": "g", "response": ""}
{"kind": "plain", "question": "q", "gold": "g", "response": ""})");
  std::ostringstream out, errors;
  const Graders graders(std::move(map));
  ASSERT_TRUE(GradeLines(JudgeWith(graders), 1, in, out, errors).ok());
  EXPECT_EQ(errors.str(), "");
  std::vector<std::string> golds;
  std::istringstream answers(out.str());
  for (std::string line; std::getline(answers, line);)
    golds.push_back(nlohmann::json::parse(line)["extracted"]);
  EXPECT_THAT(golds, testing::ElementsAre(R"({"gold":"A","options":["x","y"]})", "A",
                                          R"({"family":"maze","instance":{"n":3}})",
                                          R"({"question":"q","gold":"g"})", "g"));
}

TEST(Offline, SaysWhenItCantWrite) {
  std::istringstream in(R"({"id": 1, "kind": "math", "gold": "1", "response": "1"})");
  std::ostringstream out, errors;
  out.setstate(std::ios::badbit);
  EXPECT_EQ(GradeLines(JudgeWith(Shipped()), 1, in, out, errors).status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace offline_test
}  // namespace ponder::verifier
