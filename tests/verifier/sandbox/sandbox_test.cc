// The sandbox, by what programs can do in it.
#include "verifier/sandbox/sandbox.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "verifier/sandbox/self_test.h"

namespace ponder::verifier {
namespace {

TEST(Sandbox, HoldsItsSelfTest) {
  auto sandbox = Sandbox::Make({});
  ASSERT_TRUE(sandbox.ok()) << sandbox.status();
  const absl::Status status = SelfTest(**sandbox, absl::InfiniteFuture());
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace ponder::verifier
