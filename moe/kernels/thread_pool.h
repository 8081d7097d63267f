// ThreadPool: a fixed set of threads that share loops. A machine; one per engine or learner rank, not shared between them.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"

namespace ponder::kernels {

class ThreadPool {
 public:
  // `threads` >= 1 counts the caller: ThreadPool(1) starts none.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // Calls body(begin, end) on disjoint ranges that cover [0, n), each a multiple of `grain` long but the last; returns when
  // all are done. Which thread gets which range is not fixed, so bodies must not depend on it. Not reentrant.
  void ParallelFor(int64_t n, int64_t grain, absl::FunctionRef<void(int64_t, int64_t)> body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ponder::kernels
