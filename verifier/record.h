// What remains of a verdict once it is given: counts, and a line in the audit log.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/metrics.h"
#include "proto/verifier.pb.h"
#include "verifier/counters.h"

namespace ponder::verifier {

// A machine, thread-safe. A line of the audit log: {id, kind, gold, extracted, verdict, detail,
// reason, response_bytes, cost_seconds, time}, texts cut at 512 bytes. A log that can't be written
// costs no verdict: the loss is counted, and said once.
class Record {
 public:
  // `counters` outlives this. An empty path: no audit log. Lines are appended.
  static absl::StatusOr<std::unique_ptr<Record>> Open(const std::string& audit_path,
                                                      Counters* counters);

  void Graded(const v1::GradeRequest& request, const v1::Verdict& verdict);
  void Refused(const absl::Status& status);

 private:
  Record(std::unique_ptr<MetricsLog> audit, Counters* counters)
      : audit_(std::move(audit)), counters_(*counters) {}

  const std::unique_ptr<MetricsLog> audit_;  // or null
  Counters& counters_;
};

}  // namespace ponder::verifier
