// The run's log: metrics.jsonl, one JSON object a line. Every figure that a person sees is read from here (promise 9).
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "nlohmann/json_fwd.hpp"

namespace ponder {

// A machine, thread-safe. Appends; a line is written whole by one write(2), so that readers never see half of one.
class MetricsLog {
 public:
  // Opens for appending. A torn last line, left by a crash or a full disk, is cut off first.
  static absl::StatusOr<std::unique_ptr<MetricsLog>> Open(const std::string& path);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  // `record` must be an object. Adds "time" (seconds since the epoch). NaN and infinities become null.
  absl::Status Write(nlohmann::ordered_json record) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  MetricsLog(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  const std::string path_;
  absl::Mutex mutex_;
  const int fd_;
};

}  // namespace ponder
