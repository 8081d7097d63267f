// The threads that judge.
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "base/queue.h"
#include "verifier/grader.h"

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
  };
  explicit WorkersByPace(const Options& options)
      : quick_(options.quick), programs_(options.programs), models_(options.models) {}

  Workers& operator[](Pace pace) {
    return pace == Pace::kQuick ? quick_ : pace == Pace::kPrograms ? programs_ : models_;
  }
  size_t waiting() const { return quick_.waiting() + programs_.waiting() + models_.waiting(); }

 private:
  Workers quick_, programs_, models_;
};

}  // namespace ponder::verifier
