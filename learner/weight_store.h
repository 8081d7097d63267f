// WeightStore: the newest weights, for whoever waits for them. It holds one version; an older one
// lives on only as long as somebody still reads it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "moe/weights.h"

namespace ponder::learner {

// A machine, thread-safe.
class WeightStore {
 public:
  // `config_json` is the config.json of every version: actors get it with the weights.
  explicit WeightStore(std::string config_json) : config_json_(std::move(config_json)) {}

  // Replaces what is held. InvalidArgument: an older version than that.
  absl::Status Publish(std::shared_ptr<const moe::Weights> weights) ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits for a version >= least_version and returns the newest. DeadlineExceeded: none yet.
  // Cancelled after Close.
  absl::StatusOr<std::shared_ptr<const moe::Weights>> Latest(int64_t least_version,
                                                             absl::Time deadline)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Wakes everybody.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string& config_json() const { return config_json_; }

 private:
  const std::string config_json_;
  absl::Mutex mutex_;
  std::shared_ptr<const moe::Weights> newest_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace ponder::learner
