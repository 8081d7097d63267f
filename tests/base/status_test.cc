#include "base/status.h"

#include <memory>
#include <string>

#include "base/check.h"
#include "base/types.h"
#include "gtest/gtest.h"

namespace ponder {
namespace status_test {

absl::StatusOr<std::unique_ptr<int>> Half(int n) {
  if (n % 2 != 0) return absl::InvalidArgumentError("odd");
  return std::make_unique<int>(n / 2);
}

absl::StatusOr<int> Quarter(int n) {
  PONDER_ASSIGN_OR_RETURN(const std::unique_ptr<int> half, Half(n));
  PONDER_ASSIGN_OR_RETURN(const std::unique_ptr<int> quarter, Half(*half));
  PONDER_RETURN_IF_ERROR(*quarter == 0 ? absl::OutOfRangeError("none left") : absl::OkStatus());
  return *quarter;
}

TEST(Status, MacrosReturnTheFirstError) {
  EXPECT_EQ(*Quarter(12), 3);
  EXPECT_EQ(Quarter(3).status().message(), "odd");
  EXPECT_EQ(Quarter(6).status().message(), "odd");
  EXPECT_EQ(Quarter(0).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(Status, AnnotateKeepsTheCode) {
  EXPECT_TRUE(Annotate(absl::OkStatus(), "x").ok());
  const absl::Status status = Annotate(absl::NotFoundError("gone"), "step 3");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "step 3: gone");
}

TEST(Check, SaysWhereAndWhat) {
  const int rows = -1;
  EXPECT_DEATH(PONDER_CHECK(rows > 0, "rows ", rows), "status_test.cc.*rows > 0.*rows -1");
  PONDER_CHECK(true);
}

TEST(Types, NamesAndSizes) {
  EXPECT_STREQ(OutcomeName(Verdict::Outcome::kUnparsable), "unparsable");
  EXPECT_STREQ(StopReasonName(StopReason::kLength), "length");
  EXPECT_EQ(DTypeSize(DType::kBF16), 2);
  EXPECT_EQ(DTypeSize(DType::kI64), 8);
  EXPECT_STREQ(DTypeName(DType::kF32), "F32");
}

}  // namespace status_test
}  // namespace ponder
