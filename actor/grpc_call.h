// How an actor calls a peer over gRPC: with a deadline, again while the peer is away, until
// cancelled.
#pragma once

#include <algorithm>
#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/steady_clock.h"
#include "grpcpp/grpcpp.h"
#include "proto/transport.h"

namespace ponder::actor {

// A machine, thread-safe: the connection to one peer.
class Peer {
 public:
  // `name` is for messages, e.g. "learner at 127.0.0.1:5000".
  Peer(const std::string& address, std::string name) : name_(std::move(name)) {
    grpc::ChannelArguments arguments;
    // A peer that died without a word is noticed after 5 + 4 seconds.
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 5000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 4000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    // One that comes back is found soon.
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    arguments.SetMaxReceiveMessageSize(proto::kMaxMessageBytes);
    arguments.SetMaxSendMessageSize(proto::kMaxMessageBytes);
    channel_ = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  }

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  // Runs `rpc(grpc::ClientContext*)`, which returns a grpc::Status, with `timeout` for each
  // attempt. While the peer is away (UNAVAILABLE, or no answer in time) or too busy
  // (RESOURCE_EXHAUSTED) it tries again until `give_up`; then Unavailable.
  template <typename Rpc>
  absl::Status Call(absl::string_view operation, absl::Duration timeout, absl::Time give_up,
                    const Rpc& rpc) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::Duration backoff = absl::Milliseconds(50);
    while (true) {
      const absl::Status status = Attempt(timeout, rpc);
      if (Cancelled()) return absl::CancelledError(absl::StrCat(operation, " was cancelled"));
      // A peer that shuts down cancels the calls that it still holds.
      if (!absl::IsUnavailable(status) && !absl::IsResourceExhausted(status) &&
          !absl::IsDeadlineExceeded(status) && !absl::IsCancelled(status)) {
        return status;
      }
      if (SteadyNow() + backoff >= give_up) {
        return absl::UnavailableError(
            absl::StrCat(name_, " is away: ", operation, ": ", status.message()));
      }
      WaitUnlessCancelled(backoff);
      backoff = std::min(2 * backoff, absl::Seconds(1));
    }
  }

  // Ends all calls, now and later.
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
    for (grpc::ClientContext* context : calls_) context->TryCancel();
  }

 private:
  template <typename Rpc>
  absl::Status Attempt(absl::Duration timeout, const Rpc& rpc) ABSL_LOCKS_EXCLUDED(mutex_) {
    grpc::ClientContext context;
    context.set_deadline(proto::ToGrpc(SteadyNow() + timeout));
    {
      absl::MutexLock lock(&mutex_);
      if (cancelled_) return absl::CancelledError();
      calls_.insert(&context);
    }
    const absl::Status status = proto::FromGrpc(rpc(&context));
    absl::MutexLock lock(&mutex_);
    calls_.erase(&context);
    return status;
  }
  bool Cancelled() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return cancelled_;
  }
  void WaitUnlessCancelled(absl::Duration duration) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    AwaitUntil(mutex_, absl::Condition(&cancelled_), SteadyNow() + duration);
  }

  const std::string name_;
  std::shared_ptr<grpc::Channel> channel_;
  mutable absl::Mutex mutex_;
  std::set<grpc::ClientContext*> calls_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace ponder::actor
