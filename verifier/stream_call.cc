#include "verifier/stream_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "verifier/batch_call.h"

namespace ponder::verifier {

StreamCall::StreamCall(const Graders& graders, Workers& workers, CallsInFlight& calls,
                       absl::Time deadline)
    : graders_(graders), workers_(workers), calls_(calls), deadline_(deadline) {
  const bool welcome = calls_.Enter();
  Then([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!welcome) Fail(Stopping());
  });
}

void StreamCall::OnDone() {
  CallsInFlight& calls = calls_;
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
    if (end) outcome = ToGrpc(outcome_);
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
    auto request = std::make_shared<v1::GradeRequest>(std::move(incoming_));
    incoming_.Clear();
    const absl::StatusOr<const Grader*> grader = graders_.Find(request->kind());
    if (!grader.ok()) {
      Fail(Annotate(grader.status(), absl::StrCat("request '", request->id(), "'")));
    } else {
      ++judging_;
      const bool queued = workers_.TryRun([this, request, grader = *grader] {
        v1::GradeResponse response;
        JudgeInto(*grader, *request, deadline_, &response);
        Answer(std::move(response));
      });
      if (!queued) {
        --judging_;
        Fail(QueueFull());
      }
    }
  }
}

void StreamCall::OnWriteDone(bool ok) {
  Then([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = false;
    answers_.pop_front();
    if (!ok) broken_ = no_more_ = true;
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
  });
}

void StreamCall::Fail(const absl::Status& status) {
  no_more_ = true;
  if (outcome_.ok()) outcome_ = status;
}

bool StreamCall::Advance() {
  if (finished_) return false;
  if (broken_ && !writing_) answers_.clear();
  if (!writing_ && !answers_.empty()) {
    writing_ = true;
    StartWrite(&answers_.front());
  }
  if (!no_more_ && !reading_ && judging_ + static_cast<int>(answers_.size()) < kWindow) {
    reading_ = true;
    StartRead(&incoming_);
  }
  if (no_more_ && judging_ == 0 && answers_.empty()) {
    finished_ = true;
    return true;
  }
  return false;
}

}  // namespace ponder::verifier
