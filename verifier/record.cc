#include "verifier/record.h"

#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "nlohmann/json.hpp"
#include "proto/convert.h"

namespace ponder::verifier {
namespace {
constexpr size_t kMaxText = 512;  // bytes of a text in the log
}  // namespace

absl::StatusOr<std::unique_ptr<Record>> Record::Open(const std::string& audit_path,
                                                     Counters* counters) {
  std::unique_ptr<MetricsLog> audit;
  if (!audit_path.empty()) {
    PONDER_ASSIGN_OR_RETURN(audit, MetricsLog::Open(audit_path));
  }
  return std::unique_ptr<Record>(new Record(std::move(audit), counters));
}

void Record::Graded(const v1::GradeRequest& request, const v1::Verdict& verdict) {
  const absl::StatusOr<Verdict> made = proto::FromWire(verdict);
  const char* outcome = made.ok() ? OutcomeName(made->outcome) : "malformed";
  counters_.Add(Metric::kVerdicts, {request.kind(), outcome, verdict.detail()});
  counters_.Observe(Metric::kGradeSeconds, {request.kind()}, verdict.cost_seconds());
  if (audit_ == nullptr) return;
  nlohmann::ordered_json line;
  line["id"] = request.id().substr(0, kMaxText);
  line["kind"] = request.kind();
  line["gold"] = request.gold().substr(0, kMaxText);
  line["extracted"] = verdict.extracted().substr(0, kMaxText);
  line["verdict"] = outcome;
  line["detail"] = verdict.detail();
  line["reason"] = verdict.reason();
  if (verdict.has_score()) line["score"] = verdict.score();
  line["response_bytes"] = request.response().size();
  line["cost_seconds"] = verdict.cost_seconds();
  const absl::Status written = audit_->Write(std::move(line));
  if (written.ok()) return;
  if (counters_.Total(Metric::kAuditLost) == 0)
    PONDER_LOG(kError, "the audit log is not complete: ", written.message());
  counters_.Add(Metric::kAuditLost, {});
}

void Record::Refused(const absl::Status& status) {
  counters_.Add(Metric::kRefusals, {absl::StatusCodeToString(status.code())});
}

}  // namespace ponder::verifier
