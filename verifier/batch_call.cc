#include "verifier/batch_call.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/convert.h"

namespace ponder::verifier {
namespace {
constexpr size_t kItemsPerTicket = 16;  // fewer aren't worth waking another worker for
}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

void JudgeInto(const Grader& grader, const v1::GradeRequest& request, absl::Time deadline,
               v1::GradeResponse* response) {
  response->set_id(request.id());
  *response->mutable_verdict() =
      proto::ToWire(TimedGrade(grader, {request.gold(), request.response()}, deadline));
}

BatchCall::BatchCall(const Graders& graders, Workers& workers, absl::Time deadline,
                     std::vector<Item> items)
    : deadline_(deadline), items_(std::move(items)) {
  graders_.reserve(items_.size());
  for (size_t i = 0; i < items_.size(); ++i) {
    const absl::StatusOr<const Grader*> grader = graders.Find(items_[i].request->kind());
    if (!grader.ok()) {
      outcome_ =
          grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                       absl::StrCat("request ", i, ": ", std::string(grader.status().message())));
      LeaveTicket();
      return;
    }
    graders_.push_back(*grader);
  }
  const size_t wanted =
      std::min<size_t>((items_.size() + kItemsPerTicket - 1) / kItemsPerTicket, workers.threads());
  size_t pushed = 0;
  for (; pushed < wanted; ++pushed) {
    ++tickets_;
    if (workers.TryRun([this] { Work(); })) continue;
    --tickets_;
    break;
  }
  if (pushed == 0 && wanted > 0) {
    outcome_ = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                            "the verifier's queue is full; try again later or add verifiers");
  }
  LeaveTicket();
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
