// The RPCs of proto/verifier.proto: from the wire to a grader and back.
#pragma once

#include "proto/verifier.grpc.pb.h"
#include "verifier/calls_in_flight.h"
#include "verifier/service_parts.h"

namespace ponder::verifier {

// A machine, thread-safe. A call waits in the workers' queue, never in a thread of its own; kinds
// of another pace have workers of their own; a batch is judged by as many workers as are free; a call that is
// cancelled or past its deadline stops after the answer at hand. INVALID_ARGUMENT: unknown kind
// (the message says which request). RESOURCE_EXHAUSTED: the queue is full; try again later.
// UNAUTHENTICATED: see Access.
class VerifierService final : public v1::Verifier::CallbackService {
 public:
  // All outlive this.
  VerifierService(const Graders& graders, const Access& access, WorkersByPace& workers,
                  Record& record)
      : parts_{graders, access, workers, record, calls_} {}

  grpc::ServerUnaryReactor* Grade(grpc::CallbackServerContext* context,
                                  const v1::GradeRequest* request,
                                  v1::GradeResponse* response) override;
  grpc::ServerUnaryReactor* GradeBatch(grpc::CallbackServerContext* context,
                                       const v1::GradeBatchRequest* request,
                                       v1::GradeBatchResponse* response) override;
  grpc::ServerBidiReactor<v1::GradeRequest, v1::GradeResponse>* GradeStream(
      grpc::CallbackServerContext* context) override;

  // Refuses new calls with UNAVAILABLE; returns when those in flight have ended, or at the
  // deadline.
  void Drain(absl::Time deadline) { calls_.Drain(deadline); }
  int calls_in_flight() const { return calls_.count(); }

 private:
  CallsInFlight calls_;
  const ServiceParts parts_;
};

}  // namespace ponder::verifier
