// One GradeStream RPC: requests in, verdicts out as they are done.
#pragma once

#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "proto/verifier.pb.h"
#include "verifier/service_parts.h"

namespace ponder::verifier {

// A machine that deletes itself when gRPC is done with it. At most kWindow requests of a stream are
// read and not yet answered: a client that doesn't read its answers is not read from either. A
// request that finds the workers' queue full waits for one of the stream's own to be judged; only
// if there is none does it end the stream with RESOURCE_EXHAUSTED.
class StreamCall final : public grpc::ServerBidiReactor<v1::GradeRequest, v1::GradeResponse> {
 public:
  // An unwelcome call ends at once.
  StreamCall(const ServiceParts& parts, const absl::Status& welcome, absl::Time deadline);

 private:
  static constexpr int kWindow = 256;

  void OnReadDone(bool ok) override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnCancel() override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnDone() override;

  // A verdict is there.
  void Answer(v1::GradeResponse response) ABSL_LOCKS_EXCLUDED(mutex_);
  void Fail(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes a change under the lock, then does what is due. The end comes last and unlocked: once it
  // is called, gRPC may delete this.
  template <typename Change>
  void Then(Change change) ABSL_LOCKS_EXCLUDED(mutex_);
  void TakeRequest(bool ok) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Queues the request that is held, if there is room.
  void Queue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Starts the read and the write that are due. True: the call must end now.
  bool Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ServiceParts& parts_;
  const absl::Time deadline_;
  v1::GradeRequest incoming_;  // gRPC's while a read is under way

  absl::Mutex mutex_;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool no_more_ ABSL_GUARDED_BY(mutex_) = false;  // half-closed, failed or cancelled
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;  // nobody listens: drop answers
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<const v1::GradeRequest> held_ ABSL_GUARDED_BY(mutex_);  // not queued yet
  int judging_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<v1::GradeResponse> answers_ ABSL_GUARDED_BY(mutex_);  // the front one is being written
  absl::Status outcome_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ponder::verifier
