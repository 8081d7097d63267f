// What both ends of a gRPC connection agree upon: limits, and how a Status crosses the wire.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
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

}  // namespace ponder::proto
