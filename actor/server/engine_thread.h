// EngineThread: an Engine with a thread of its own, that many callers ask at once.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "actor/engine/engine.h"

namespace ponder::actor {

// The tokens of one call's sequences as they come. A machine; thread-safe.
class TokenStream {
 public:
  struct Event {
    int64_t sequence = 0;  // its place in the call
    bool end = false;      // the sequence's last event; `token` and what belongs to it are void
    StopReason stop_reason = StopReason::kEndOfSequence;
    int32_t token = 0;
    float logprob = 0;  // untempered
    std::vector<std::pair<int32_t, float>> top;
  };
  explicit TokenStream(int64_t sequences) : open_(sequences) {}

  // Waits up to `wait` for events; replaces `events`. False: all have been seen.
  bool Next(absl::Duration wait, std::vector<Event>* events) ABSL_LOCKS_EXCLUDED(mutex_);
  void Push(Event event) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Mutex mutex_;
  std::vector<Event> events_ ABSL_GUARDED_BY(mutex_);
  int64_t open_ ABSL_GUARDED_BY(mutex_);
};

// A machine; thread-safe.
class EngineThread {
 public:
  struct Options {
    Engine::Options engine;
    int64_t max_waiting = 1024;  // sequences that wait for their turn
  };
  static absl::StatusOr<std::unique_ptr<EngineThread>> Start(const Options& options,
                                                             const moe::Model& model);
  ~EngineThread();

  // One sequence a request; their keys are set here. Waits until the engine has looked at them, a
  // step at most. InvalidArgument: what Engine::Check says. ResourceExhausted: too many wait.
  // Unavailable: stopped.
  absl::StatusOr<std::shared_ptr<TokenStream>> Submit(std::vector<Engine::Request> requests);
  // Nobody listens any more. Does not wait.
  void Cancel(const std::shared_ptr<TokenStream>& stream) ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends all streams with kCancelled. Later calls find it stopped.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  Engine::Stats stats() const ABSL_LOCKS_EXCLUDED(mutex_);
  const moe::ModelConfig& config() const { return config_; }

 private:
  struct Submission {
    std::vector<Engine::Request> requests;
    std::shared_ptr<TokenStream> stream;
    bool* answered = nullptr;  // guarded by mutex_, like what `answer` points to
    absl::Status* answer = nullptr;
  };
  EngineThread(const Options& options, std::unique_ptr<Engine> engine);

  void Run();
  absl::Status Accept(Submission& submission);
  void Step();
  void Drop(const std::shared_ptr<TokenStream>& stream);

  const Options options_;
  const moe::ModelConfig config_;

  mutable absl::Mutex mutex_;
  std::deque<Submission> submissions_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<TokenStream>> cancelled_ ABSL_GUARDED_BY(mutex_);
  Engine::Stats stats_ ABSL_GUARDED_BY(mutex_);
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;  // the engine has sequences
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;

  // Of the thread alone.
  const std::unique_ptr<Engine> engine_;
  std::map<SampleKey, std::shared_ptr<TokenStream>> streams_;
  int64_t calls_ = 0;

  std::thread thread_;
};

}  // namespace ponder::actor
