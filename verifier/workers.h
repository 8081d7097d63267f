// The threads that judge.
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "base/queue.h"
#include "verifier/grader.h"
#include "verifier/quick_work.h"

namespace ponder::verifier {

// A machine: threads that take work from one bounded queue. Thread-safe.
class Workers {
 public:
  struct Options {
    int threads = 2;
    size_t queue_capacity = 1024;  // pieces of work that may wait
  };
  explicit Workers(const Options& options);
  // Does what is still queued, then ends the threads.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Never waits. False: the queue is full, `work` is dropped.
  bool TryRun(std::function<void()> work) { return queue_.TryPush(std::move(work)); }
  size_t waiting() const { return queue_.size(); }  // pieces of work
  int threads() const { return static_cast<int>(threads_.size()); }

 private:
  Queue<std::function<void()>> queue_;
  std::vector<std::thread> threads_;
};

// A machine: workers for each pace. Thread-safe.
class WorkersByPace {
 public:
  struct Options {
    Workers::Options quick;
    Workers::Options programs;
    Workers::Options models{8, 1024};
    QuickWork* quick_work = nullptr;  // is told of it; outlives the workers
  };
  explicit WorkersByPace(const Options& options)
      : quick_work_(options.quick_work),
        quick_(options.quick),
        programs_(options.programs),
        models_(options.models) {}

  // For a piece of work.
  Workers& operator[](Pace pace) {
    if (pace == Pace::kQuick && quick_work_ != nullptr) quick_work_->Note();
    return pace == Pace::kQuick ? quick_ : pace == Pace::kPrograms ? programs_ : models_;
  }
  size_t waiting() const { return quick_.waiting() + programs_.waiting() + models_.waiting(); }

 private:
  QuickWork* const quick_work_;
  Workers quick_, programs_, models_;
};

}  // namespace ponder::verifier
