// What a verifier counts, and how Prometheus reads it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/synchronization/mutex.h"

namespace ponder::verifier {

// counters.cc has their names, types and labels, in this order.
enum class Metric {
  kVerdicts,       // by kind, outcome, detail
  kGradeSeconds,   // histogram, by kind
  kRefusals,       // calls, by the name of the status code
  kAuditLost,      // verdicts that could not be written to the audit log
  kJudgeAnswers,   // of judge models, by what came back
  kScoreAnswers,   // of models that score, by what came back
  kCanaries,       // known hacks put to the judge model, by "refused" or "paid"
  kCanaryAlarm,    // gauge: 1 once more than 0.5% of the canaries have been paid
  kQueueLength,    // gauge
  kCallsInFlight,  // gauge
};

// A machine, thread-safe.
class Counters {
 public:
  // `labels`: the values of the metric's labels, in order. Beyond 256 different ones the last label
  // becomes "other", so that no caller can make the page grow.
  void Add(Metric metric, std::vector<std::string> labels, int64_t amount = 1)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Set(Metric metric, double value) ABSL_LOCKS_EXCLUDED(mutex_);
  void Observe(Metric metric, std::vector<std::string> labels, double seconds)
      ABSL_LOCKS_EXCLUDED(mutex_);

  int64_t Count(Metric metric, const std::vector<std::string>& labels) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Of all labels together.
  int64_t Total(Metric metric) const ABSL_LOCKS_EXCLUDED(mutex_);

  // In Prometheus' text format, version 0.0.4.
  std::string Page() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Series {
    double value = 0;                // of counters and gauges; the sum of histograms
    int64_t observations = 0;        // of histograms
    std::vector<int64_t> in_bucket;  // of histograms, not cumulative
  };
  using Family = absl::btree_map<std::vector<std::string>, Series>;

  Series& At(Metric metric, std::vector<std::string>* labels) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  absl::btree_map<Metric, Family> families_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ponder::verifier
