// Learning-rate schedules at the points where their formulas are known.
#include "learner/schedule.h"

#include "gtest/gtest.h"

namespace ponder::learner {
namespace schedule_test {

TEST(WarmupConstant, RisesThenStays) {
  EXPECT_DOUBLE_EQ(WarmupConstant(1, 4, 0), 0.25);
  EXPECT_DOUBLE_EQ(WarmupConstant(1, 4, 3), 1);
  EXPECT_DOUBLE_EQ(WarmupConstant(1, 4, 1000), 1);
  EXPECT_DOUBLE_EQ(WarmupConstant(1, 0, 0), 1);
}

TEST(WarmupCosine, EndsAtTheMinimum) {
  EXPECT_DOUBLE_EQ(WarmupCosine(1, 0.1, 10, 111, 4), 0.5);
  EXPECT_DOUBLE_EQ(WarmupCosine(1, 0.1, 10, 111, 10), 1);
  EXPECT_NEAR(WarmupCosine(1, 0.1, 10, 111, 60), 0.55, 1e-12);
  EXPECT_NEAR(WarmupCosine(1, 0.1, 10, 111, 110), 0.1, 1e-12);
  EXPECT_NEAR(WarmupCosine(1, 0.1, 0, 1, 0), 1, 1e-12);
}

}  // namespace schedule_test
}  // namespace ponder::learner
