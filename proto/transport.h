// What both ends of a gRPC connection agree upon: limits, and how a Status crosses the wire; and
// how a deadline crosses to gRPC and back.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/steady_clock.h"
#include "grpc/support/time.h"
#include "grpcpp/support/status.h"

namespace ponder::proto {

inline constexpr int kMaxMessageBytes = 64 << 20;             // of one message, either way
inline constexpr size_t kChunkBytes = 1 << 20;                // of weights in one message
inline constexpr absl::Duration kMaxWait = absl::Minutes(1);  // of one long poll

// absl's codes are gRPC's.
inline grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}
inline absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

// A deadline by SteadyNow as gRPC's, by its monotonic clock, for set_deadline and Shutdown.
inline gpr_timespec ToGrpc(absl::Time deadline) {
  // What is infinite becomes the largest number of microseconds, which gRPC takes for infinite.
  const int64_t left_us = absl::ToInt64Microseconds(deadline - SteadyNow());
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros(left_us, GPR_TIMESPAN));
}
// Of a context's raw_deadline(), by whatever clock. Its deadline() is by the wall clock.
inline absl::Time FromGrpc(gpr_timespec deadline) {
  const gpr_timespec left = gpr_time_sub(gpr_convert_clock_type(deadline, GPR_CLOCK_MONOTONIC),
                                         gpr_now(GPR_CLOCK_MONOTONIC));
  if (gpr_time_cmp(left, gpr_inf_future(left.clock_type)) == 0) return absl::InfiniteFuture();
  if (gpr_time_cmp(left, gpr_inf_past(left.clock_type)) == 0) return absl::InfinitePast();
  return SteadyNow() + absl::Seconds(left.tv_sec) + absl::Nanoseconds(left.tv_nsec);
}

}  // namespace ponder::proto
