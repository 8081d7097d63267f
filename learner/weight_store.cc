#include "learner/weight_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/steady_clock.h"

namespace ponder::learner {

absl::Status WeightStore::Publish(std::shared_ptr<const moe::Weights> weights) {
  absl::MutexLock lock(&mutex_);
  if (newest_ != nullptr && weights->manifest().version < newest_->manifest().version) {
    return absl::InvalidArgumentError(absl::StrCat("weights ", weights->manifest().version,
                                                   " published after ", newest_->manifest().version,
                                                   ": versions only grow"));
  }
  newest_ = std::move(weights);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const moe::Weights>> WeightStore::Latest(int64_t least_version,
                                                                        absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  const auto there = [this, least_version]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closed_ || (newest_ != nullptr && newest_->manifest().version >= least_version);
  };
  if (!AwaitUntil(mutex_, absl::Condition(&there), deadline)) {
    return absl::DeadlineExceededError(
        newest_ == nullptr ? std::string("no weights were published yet")
                           : absl::StrCat("the newest weights are ", newest_->manifest().version,
                                          ", not yet ", least_version));
  }
  if (closed_) return absl::CancelledError("the learner is stopping");
  return newest_;
}

void WeightStore::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

}  // namespace ponder::learner
