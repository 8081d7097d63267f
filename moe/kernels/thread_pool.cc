// Workers wait for the gate to open, spinning for a little while before they sleep. Each thread
// begins with the ranges of its own share of the loop, the same one every time, so that what it
// wrote in one loop is in its cache in the next; then it takes what the others have left.
#include "moe/kernels/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/check.h"

namespace ponder::kernels {
namespace {

constexpr auto kSpin = std::chrono::microseconds(20);

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// True when done() came true within kSpin.
bool Spin(absl::FunctionRef<bool()> done) {
  const auto until = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < until);
  return done();
}

}  // namespace

// The gate holds the number of the loop in its upper bits, then whether the loop still admits
// workers, then how many are inside. A worker that comes late finds it closed: the caller never
// waits for a thread that has not entered.
struct ThreadPool::State {
  static constexpr uint64_t kOpen = uint64_t{1} << 16;
  static constexpr uint64_t kInside = kOpen - 1;
  static constexpr uint64_t kLoop = kOpen << 1;

  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  explicit State(int threads) : shares(threads) {}

  std::atomic<uint64_t> gate{0};
  // The loop; written while the gate is shut and nobody is inside.
  std::vector<Share> shares;  // by thread, the caller's first
  int64_t grain = 1;
  const absl::FunctionRef<void(int64_t, int64_t)>* body = nullptr;

  absl::Mutex mutex;
  absl::CondVar changed;
  // Threads asleep on `changed`; counted before they look at the gate for the last time, read after
  // the gate has changed.
  std::atomic<int> sleepers{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> workers;

  void TakeRanges(size_t thread) {
    for (size_t i = 0; i < shares.size(); ++i) {
      Share& share = shares[(thread + i) % shares.size()];
      while (true) {
        const int64_t begin = share.next.fetch_add(grain, std::memory_order_relaxed);
        if (begin >= share.end) break;
        (*body)(begin, std::min(share.end, begin + grain));
      }
    }
  }

  void Wake() {
    if (sleepers.load() == 0) return;
    absl::MutexLock lock(&mutex);
    changed.SignalAll();
  }

  void WaitUntil(absl::FunctionRef<bool()> done) {
    if (Spin(done)) return;
    sleepers.fetch_add(1);
    {
      absl::MutexLock lock(&mutex);
      while (!done()) changed.Wait(&mutex);
    }
    sleepers.fetch_sub(1);
  }

  void Work(size_t thread) {
    uint64_t seen = 0;
    while (true) {
      WaitUntil([&] { return stop.load() || gate.load() / kLoop != seen; });
      if (stop.load()) return;
      uint64_t at = gate.load();
      seen = at / kLoop;
      bool entered = false;
      while (!entered && at / kLoop == seen && (at & kOpen) != 0) {
        entered = gate.compare_exchange_weak(at, at + 1);
      }
      if (!entered) continue;
      TakeRanges(thread);
      const uint64_t left = gate.fetch_sub(1) - 1;
      if ((left & (kOpen | kInside)) == 0) Wake();
    }
  }
};

ThreadPool::ThreadPool(int threads) {
  PONDER_CHECK(threads >= 1 && threads < 1 << 16, "a pool of ", threads, " threads");
  state_ = std::make_unique<State>(threads);
  for (int i = 1; i < threads; ++i) {
    state_->workers.emplace_back([s = state_.get(), i] { s->Work(static_cast<size_t>(i)); });
  }
}

ThreadPool::~ThreadPool() {
  state_->stop.store(true);
  state_->Wake();
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::ParallelFor(int64_t n, int64_t grain,
                             absl::FunctionRef<void(int64_t, int64_t)> body) {
  if (n <= 0) return;
  State& s = *state_;
  if (s.workers.empty() || n <= grain) {
    body(0, n);
    return;
  }
  s.grain = std::max<int64_t>(grain, 1);
  s.body = &body;
  const int64_t ranges = (n + s.grain - 1) / s.grain, threads = this->threads();
  for (int64_t i = 0; i < threads; ++i) {
    State::Share& share = s.shares[static_cast<size_t>(i)];
    share.next.store(ranges * i / threads * s.grain, std::memory_order_relaxed);
    share.end = std::min(n, ranges * (i + 1) / threads * s.grain);
  }
  s.gate.store((s.gate.load() / State::kLoop + 1) * State::kLoop + State::kOpen);
  s.Wake();
  s.TakeRanges(0);
  s.gate.fetch_and(~State::kOpen);
  s.WaitUntil([&s] { return (s.gate.load() & State::kInside) == 0; });
}

}  // namespace ponder::kernels
