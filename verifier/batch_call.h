// One unary RPC of one or many requests, judged by several workers at once.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "proto/verifier.pb.h"
#include "verifier/calls_in_flight.h"
#include "verifier/graders.h"
#include "verifier/workers.h"

namespace ponder::verifier {

grpc::Status ToGrpc(const absl::Status& status);
absl::Status QueueFull();  // ResourceExhausted
absl::Status Stopping();   // Unavailable

// The answer to one request of the wire.
void JudgeInto(const Grader& grader, const v1::GradeRequest& request, absl::Time deadline,
               v1::GradeResponse* response);

// A machine that deletes itself when gRPC is done with it. Workers hold tickets; each takes
// requests by a shared counter until none is left, and the last one to leave ends the call.
class BatchCall final : public grpc::ServerUnaryReactor {
 public:
  struct Item {
    const v1::GradeRequest* request;
    v1::GradeResponse* response;
  };
  // Starts at once. `items` point into the RPC's messages, which live until the call ends.
  BatchCall(const Graders& graders, Workers& workers, CallsInFlight& calls, absl::Time deadline,
            std::vector<Item> items);

 private:
  void Work();         // one ticket
  void LeaveTicket();  // the last one ends the call
  void OnCancel() override { stopped_ = true; }
  void OnDone() override;

  // What a call needs to start: its graders found and a place in the queue.
  grpc::Status Admit(const Graders& graders, Workers& workers);

  CallsInFlight& calls_;
  const absl::Time deadline_;
  const std::vector<Item> items_;
  std::vector<const Grader*> graders_;  // of each item
  std::atomic<size_t> next_{0};
  std::atomic<int> tickets_{1};  // one is the constructor's
  std::atomic<bool> stopped_{false};
  std::atomic<bool> late_{false};
  grpc::Status outcome_;  // written before the last ticket leaves, by the constructor only
};

}  // namespace ponder::verifier
