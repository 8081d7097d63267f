#include "verifier/stream_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "proto/transport.h"
#include "verifier/batch_call.h"

namespace ponder::verifier {

StreamCall::StreamCall(const ServiceParts& parts, const absl::Status& welcome, absl::Time deadline)
    : parts_(parts), deadline_(deadline) {
  const bool open = parts_.calls.Enter();
  Then([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!open) {
      Fail(Stopping());
    } else if (!welcome.ok()) {
      Fail(welcome);
    }
  });
}

void StreamCall::OnDone() {
  CallsInFlight& calls = parts_.calls;
  delete this;
  calls.Leave();
}

template <typename Change>
void StreamCall::Then(Change change) {
  bool end;
  grpc::Status outcome;
  {
    absl::MutexLock lock(&mutex_);
    change();
    end = Advance();
    if (end) outcome = proto::ToGrpc(outcome_);
  }
  if (end) Finish(outcome);
}

void StreamCall::OnReadDone(bool ok) {
  Then([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { TakeRequest(ok); });
}

void StreamCall::TakeRequest(bool ok) {
  reading_ = false;
  if (!ok) {
    no_more_ = true;
  } else if (!no_more_) {
    held_ = std::make_shared<const v1::GradeRequest>(std::move(incoming_));
    incoming_.Clear();
    Queue();
  }
}

void StreamCall::Queue() {
  if (held_ == nullptr) return;
  const absl::StatusOr<const Grader*> grader = parts_.graders.Find(held_->kind());
  if (!grader.ok()) {
    Fail(Annotate(grader.status(), absl::StrCat("request '", held_->id(), "'")));
    return;
  }
  const bool queued = parts_.workers[(*grader)->pace()].TryRun([this, request = held_, grader = *grader] {
    v1::GradeResponse response;
    JudgeInto(*grader, *request, deadline_, &parts_.record, &response);
    Answer(std::move(response));
  });
  if (queued) {
    ++judging_;
    held_ = nullptr;
  } else if (judging_ == 0) {
    Fail(QueueFull());
  }
}

void StreamCall::OnWriteDone(bool ok) {
  Then([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = false;
    answers_.pop_front();
    if (ok) return;
    broken_ = no_more_ = true;
    held_ = nullptr;
  });
}

void StreamCall::OnCancel() {
  Then([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    broken_ = true;
    Fail(absl::CancelledError("cancelled"));
  });
}

void StreamCall::Answer(v1::GradeResponse response) {
  Then([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    --judging_;
    answers_.push_back(std::move(response));
    Queue();
  });
}

void StreamCall::Fail(const absl::Status& status) {
  no_more_ = true;
  held_ = nullptr;
  if (!outcome_.ok()) return;
  outcome_ = status;
  parts_.record.Refused(status);
}

bool StreamCall::Advance() {
  if (finished_) return false;
  if (broken_ && !writing_) answers_.clear();
  if (!writing_ && !answers_.empty()) {
    writing_ = true;
    StartWrite(&answers_.front());
  }
  if (!no_more_ && !reading_ && held_ == nullptr &&
      judging_ + static_cast<int>(answers_.size()) < kWindow) {
    reading_ = true;
    StartRead(&incoming_);
  }
  if (no_more_ && held_ == nullptr && judging_ == 0 && answers_.empty()) {
    finished_ = true;
    return true;
  }
  return false;
}

}  // namespace ponder::verifier
