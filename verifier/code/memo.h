// What was made once for a key and need not be made again: programs' compilations and verdicts.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/steady_clock.h"

namespace ponder::verifier {

// A machine, thread-safe. Remembers the latest values, up to a number of bytes. While one caller
// makes the value of a key, others who ask for it wait for it.
template <typename Value>
class Memo {
 public:
  struct Made {
    Value value;
    size_t bytes = 0;  // of the value
    bool keep = true;  // false: this value holds for this caller alone
  };

  // `bytes`, of keys and values; 0: every caller makes its own.
  explicit Memo(size_t bytes) : bytes_(bytes) {}
  Memo(const Memo&) = delete;
  Memo& operator=(const Memo&) = delete;

  // Errors are those of `make`, which are not kept, and DeadlineExceeded while waiting for another
  // caller's. Whoever waited for a value that is not kept makes one too.
  absl::StatusOr<Value> Get(const std::string& key, absl::Time deadline,
                            absl::FunctionRef<absl::StatusOr<Made>()> make)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    if (bytes_ == 0) {
      absl::StatusOr<Made> made = make();
      if (!made.ok()) return made.status();
      return std::move(made->value);
    }
    const auto own = std::make_shared<Entry>();
    std::shared_ptr<Entry> known;
    {
      absl::MutexLock lock(&mutex_);
      const auto [at, added] = entries_.try_emplace(key, own);
      if (!added) known = at->second;
      if (known != nullptr) {
        const auto decided = [&known] { return known->state != State::kInTheMaking; };
        if (!AwaitUntil(mutex_, absl::Condition(&decided), deadline)) {
          return absl::DeadlineExceededError("the deadline came while a twin was being judged");
        }
        if (known->state == State::kKept) return known->value;
      }
    }
    absl::Cleanup drop = [&] {
      if (known == nullptr) Settle(key, *own, nullptr);
    };
    absl::StatusOr<Made> made = make();
    if (!made.ok()) return made.status();
    if (known == nullptr && made->keep) {
      std::move(drop).Cancel();
      Settle(key, *own, &*made);
    }
    return std::move(made->value);
  }

 private:
  enum class State { kInTheMaking, kKept, kDropped };
  struct Entry {  // guarded by mutex_
    State state = State::kInTheMaking;
    Value value;
    size_t bytes = 0;  // of key and value
  };

  // `made`: null for nothing to keep.
  void Settle(const std::string& key, Entry& entry, const Made* made) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (made == nullptr) {
      entry.state = State::kDropped;
      entries_.erase(key);
      return;
    }
    entry.state = State::kKept;
    entry.value = made->value;
    entry.bytes = 2 * key.size() + made->bytes;
    kept_bytes_ += entry.bytes;
    oldest_first_.push_back(key);
    while (kept_bytes_ > bytes_ && oldest_first_.size() > 1) {
      const auto oldest = entries_.find(oldest_first_.front());
      kept_bytes_ -= oldest->second->bytes;
      entries_.erase(oldest);
      oldest_first_.pop_front();
    }
  }

  const size_t bytes_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<Entry>> entries_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> oldest_first_ ABSL_GUARDED_BY(mutex_);  // of those that are kept
  size_t kept_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace ponder::verifier
