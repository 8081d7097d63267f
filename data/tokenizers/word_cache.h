// WordCache: the ids of words seen before, since most words of a text come again and again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"

namespace ponder::data {

// A value, of one thread. Bounded: it starts anew when it is full.
class WordCache {
 public:
  // Appends the ids of `word` if it is known.
  bool Find(absl::string_view word, std::vector<int32_t>* ids) const {
    const auto found = words_.find(word);
    if (found == words_.end()) return false;
    const auto begin = ids_.begin() + found->second.first;
    ids->insert(ids->end(), begin, begin + found->second.second);
    return true;
  }

  void Add(absl::string_view word, absl::Span<const int32_t> ids) {
    constexpr size_t kLongestWord = 64, kMostWords = 1 << 16;
    if (word.size() > kLongestWord) return;
    if (words_.size() == kMostWords) {
      words_.clear();
      ids_.clear();
    }
    words_.try_emplace(std::string(word), static_cast<uint32_t>(ids_.size()),
                       static_cast<uint32_t>(ids.size()));
    ids_.insert(ids_.end(), ids.begin(), ids.end());
  }

 private:
  absl::flat_hash_map<std::string, std::pair<uint32_t, uint32_t>> words_;  // first id, count
  std::vector<int32_t> ids_;
};

// Lends a cache to each call that encodes, so that calls at the same time don't wait for each
// other. A machine; it outlives its loans.
class WordCachePool {
 public:
  struct Return {
    WordCachePool* pool;
    void operator()(WordCache* cache) const {
      absl::MutexLock lock(&pool->mutex_);
      pool->free_.emplace_back(cache);
    }
  };
  using Loan = std::unique_ptr<WordCache, Return>;

  Loan Borrow() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (free_.empty()) return Loan(new WordCache, Return{this});
    Loan loan(free_.back().release(), Return{this});
    free_.pop_back();
    return loan;
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::unique_ptr<WordCache>> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ponder::data
