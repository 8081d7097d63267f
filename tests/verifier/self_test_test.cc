#include "verifier/self_test.h"

#include <memory>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder::verifier {
namespace self_test_test {

TEST(SelfTest, ShippedGradersPass) {
  const Graders graders = MakeGraders();
  EXPECT_TRUE(SelfTest(graders).ok()) << SelfTest(graders);
}

// Finds everything correct.
class GenerousGrader final : public Grader {
 public:
  Verdict Grade(const Question& question, absl::Time deadline) const override {
    Verdict verdict;
    verdict.outcome = Verdict::Outcome::kCorrect;
    return verdict;
  }
  absl::Status CheckGold(absl::string_view gold) const override { return absl::OkStatus(); }
};

TEST(SelfTest, EveryKindIsTried) {
  for (const auto& [kind, grader] : ShippedGraders()) {
    Graders::Map map = ShippedGraders();
    map[kind] = std::make_unique<GenerousGrader>();
    const absl::Status status = SelfTest(Graders(std::move(map)));
    EXPECT_TRUE(absl::IsInternal(status)) << kind;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(kind));
  }
}

}  // namespace self_test_test
}  // namespace ponder::verifier
