// One unary RPC of one or many requests, judged by several workers at once.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <vector>

#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "proto/verifier.pb.h"
#include "verifier/service_parts.h"

namespace ponder::verifier {

absl::Status QueueFull();  // ResourceExhausted
absl::Status Stopping();   // Unavailable

// The answer to one request of the wire, recorded.
void JudgeInto(const Grader& grader, const v1::GradeRequest& request, absl::Time deadline,
               Record* record, v1::GradeResponse* response);

// A machine that deletes itself when gRPC is done with it. Workers hold tickets; each takes
// requests by a shared counter until none is left, and the last one to leave ends the call. Each
// pace has workers and a counter of its own.
class BatchCall final : public grpc::ServerUnaryReactor {
 public:
  struct Item {
    const v1::GradeRequest* request;
    v1::GradeResponse* response;
  };
  // Starts at once, unless `welcome` says why not. `items` point into the RPC's messages, which
  // live until the call ends.
  BatchCall(const ServiceParts& parts, const absl::Status& welcome, absl::Time deadline,
            std::vector<Item> items);

 private:
  // The items of one set of workers.
  struct Lane {
    std::vector<size_t> items;
    std::atomic<size_t> next{0};
  };

  void Work(Lane* lane);  // one ticket
  void LeaveTicket();     // the last one ends the call
  void OnCancel() override { stopped_ = true; }
  void OnDone() override;

  // What a call needs to start: its graders found and a place in the queues.
  absl::Status Admit(const absl::Status& welcome);
  // ResourceExhausted: not even one ticket fits.
  absl::Status Queue(Pace pace);

  const ServiceParts& parts_;
  const absl::Time deadline_;
  const std::vector<Item> items_;
  std::vector<const Grader*> graders_;  // of each item
  std::array<Lane, kPaces> lanes_;
  std::atomic<int> tickets_{1};  // one is the constructor's
  std::atomic<bool> stopped_{false};
  std::atomic<bool> late_{false};
  absl::Status outcome_;  // written before the last ticket leaves, by the constructor only
};

}  // namespace ponder::verifier
