#include "verifier/batch_call.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "proto/convert.h"
#include "proto/transport.h"

namespace ponder::verifier {
namespace {
constexpr size_t kItemsPerTicket = 16;  // fewer aren't worth waking another worker for
}  // namespace

absl::Status QueueFull() {
  return absl::ResourceExhaustedError(
      "the verifier's queue is full; try again later or add verifiers");
}

absl::Status Stopping() { return absl::UnavailableError("the verifier is stopping; ask another"); }

void JudgeInto(const Grader& grader, const v1::GradeRequest& request, absl::Time deadline,
               Record* record, v1::GradeResponse* response) {
  response->set_id(request.id());
  *response->mutable_verdict() =
      proto::ToWire(TimedGrade(grader, {request.gold(), request.response()}, deadline));
  record->Graded(request, response->verdict());
}

BatchCall::BatchCall(const ServiceParts& parts, const absl::Status& welcome, absl::Time deadline,
                     std::vector<Item> items)
    : parts_(parts), deadline_(deadline), items_(std::move(items)) {
  const bool open = parts_.calls.Enter();
  outcome_ = open ? Admit(welcome) : Stopping();
  if (!outcome_.ok()) parts_.record.Refused(outcome_);
  LeaveTicket();
}

absl::Status BatchCall::Admit(const absl::Status& welcome) {
  PONDER_RETURN_IF_ERROR(welcome);
  graders_.reserve(items_.size());
  for (size_t i = 0; i < items_.size(); ++i) {
    const absl::StatusOr<const Grader*> grader = parts_.graders.Find(items_[i].request->kind());
    if (!grader.ok()) return Annotate(grader.status(), absl::StrCat("request ", i));
    graders_.push_back(*grader);
  }
  for (size_t i = 0; i < items_.size(); ++i) {
    lanes_[static_cast<size_t>(graders_[i]->pace())].items.push_back(i);
  }
  for (const Pace pace : {Pace::kQuick, Pace::kPrograms, Pace::kModels}) {
    const absl::Status queued = Queue(pace);
    if (queued.ok()) continue;
    stopped_ = true;  // what is under way is for nothing
    return queued;
  }
  return absl::OkStatus();
}

absl::Status BatchCall::Queue(Pace pace) {
  Workers& workers = parts_.workers[pace];
  Lane* const lane = &lanes_[static_cast<size_t>(pace)];
  const size_t items_per_ticket = pace == Pace::kQuick ? kItemsPerTicket : 1;
  const size_t wanted = std::min<size_t>(
      (lane->items.size() + items_per_ticket - 1) / items_per_ticket, workers.threads());
  for (size_t pushed = 0; pushed < wanted; ++pushed) {
    ++tickets_;
    if (workers.TryRun([this, lane] { Work(lane); })) continue;
    --tickets_;
    if (pushed == 0) return QueueFull();
    break;
  }
  return absl::OkStatus();
}

void BatchCall::Work(Lane* lane) {
  for (size_t n; !stopped_ && (n = lane->next++) < lane->items.size();) {
    if (SteadyNow() >= deadline_) {
      late_ = true;
      break;
    }
    const size_t i = lane->items[n];
    JudgeInto(*graders_[i], *items_[i].request, deadline_, &parts_.record, items_[i].response);
  }
  LeaveTicket();
}

void BatchCall::OnDone() {
  CallsInFlight& calls = parts_.calls;
  delete this;
  calls.Leave();
}

void BatchCall::LeaveTicket() {
  if (--tickets_ > 0) return;
  if (!outcome_.ok()) {
    Finish(proto::ToGrpc(outcome_));
  } else if (late_) {
    Finish(grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "not judged before the deadline"));
  } else if (stopped_) {
    Finish(grpc::Status::CANCELLED);
  } else {
    Finish(grpc::Status::OK);
  }
}

}  // namespace ponder::verifier
