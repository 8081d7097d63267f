#include "proto/transport.h"

#include "gtest/gtest.h"

namespace ponder::proto {
namespace transport_test {

TEST(Deadline, CrossesToGrpcAndBack) {
  for (const absl::Duration left : {absl::Hours(1), absl::ZeroDuration(), -absl::Seconds(5)}) {
    const absl::Time start = SteadyNow();
    const absl::Time crossed = FromGrpc(ToGrpc(start + left));
    const absl::Duration taken = SteadyNow() - start;
    EXPECT_GE(crossed, start + left - absl::Microseconds(2)) << left;
    EXPECT_LE(crossed, start + left + taken + absl::Microseconds(2)) << left;
  }
}

TEST(Deadline, StaysInfinite) {
  for (const absl::Time never : {absl::InfiniteFuture(), absl::InfinitePast()}) {
    EXPECT_EQ(FromGrpc(ToGrpc(never)), never);
  }
  for (const gpr_clock_type clock : {GPR_CLOCK_REALTIME, GPR_CLOCK_MONOTONIC}) {
    EXPECT_EQ(FromGrpc(gpr_inf_future(clock)), absl::InfiniteFuture());
    EXPECT_EQ(FromGrpc(gpr_inf_past(clock)), absl::InfinitePast());
  }
}

}  // namespace transport_test
}  // namespace ponder::proto
