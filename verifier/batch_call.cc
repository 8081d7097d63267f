#include "verifier/batch_call.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "proto/convert.h"

namespace ponder::verifier {
namespace {
constexpr size_t kItemsPerTicket = 16;  // fewer aren't worth waking another worker for
}  // namespace

absl::Status QueueFull() {
  return absl::ResourceExhaustedError(
      "the verifier's queue is full; try again later or add verifiers");
}

absl::Status Stopping() { return absl::UnavailableError("the verifier is stopping; ask another"); }

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

void JudgeInto(const Grader& grader, const v1::GradeRequest& request, absl::Time deadline,
               v1::GradeResponse* response) {
  response->set_id(request.id());
  *response->mutable_verdict() =
      proto::ToWire(TimedGrade(grader, {request.gold(), request.response()}, deadline));
}

BatchCall::BatchCall(const Graders& graders, Workers& workers, CallsInFlight& calls,
                     absl::Time deadline, std::vector<Item> items)
    : calls_(calls), deadline_(deadline), items_(std::move(items)) {
  outcome_ = calls_.Enter() ? Admit(graders, workers) : ToGrpc(Stopping());
  LeaveTicket();
}

grpc::Status BatchCall::Admit(const Graders& graders, Workers& workers) {
  graders_.reserve(items_.size());
  for (size_t i = 0; i < items_.size(); ++i) {
    const absl::StatusOr<const Grader*> grader = graders.Find(items_[i].request->kind());
    if (!grader.ok()) return ToGrpc(Annotate(grader.status(), absl::StrCat("request ", i)));
    graders_.push_back(*grader);
  }
  const size_t wanted =
      std::min<size_t>((items_.size() + kItemsPerTicket - 1) / kItemsPerTicket, workers.threads());
  for (size_t pushed = 0; pushed < wanted; ++pushed) {
    ++tickets_;
    if (workers.TryRun([this] { Work(); })) continue;
    --tickets_;
    if (pushed == 0) return ToGrpc(QueueFull());
    break;
  }
  return grpc::Status::OK;
}

void BatchCall::Work() {
  for (size_t i; !stopped_ && (i = next_++) < items_.size();) {
    if (absl::Now() >= deadline_) {
      late_ = true;
      break;
    }
    JudgeInto(*graders_[i], *items_[i].request, deadline_, items_[i].response);
  }
  LeaveTicket();
}

void BatchCall::OnDone() {
  CallsInFlight& calls = calls_;
  delete this;
  calls.Leave();
}

void BatchCall::LeaveTicket() {
  if (--tickets_ > 0) return;
  if (late_) {
    Finish(grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "not judged before the deadline"));
  } else if (stopped_) {
    Finish(grpc::Status::CANCELLED);
  } else {
    Finish(outcome_);
  }
}

}  // namespace ponder::verifier
