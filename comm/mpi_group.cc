// Ranks as MPI processes, over point-to-point messages alone: every operation is one or two
// exchanges in which each rank sends a block to each other rank. MPI's own collectives would
// neither promise the order of a sum nor say who is missing. Nothing blocks: requests are polled
// until all are done or the deadline passes.
#include <mpi.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/const_init.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "comm/arguments.h"
#include "comm/group.h"
#include "comm/poll.h"

namespace ponder::comm {
namespace {

constexpr int64_t kLargestMessage = int64_t{1} << 30;  // bytes; MPI counts in int
constexpr int64_t kSumAtOnce = int64_t{1}
                               << 22;  // numbers summed in one exchange: bounds the scratch

absl::Status MpiStatus(int code, absl::string_view what) {
  if (code == MPI_SUCCESS) return absl::OkStatus();
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  return absl::AbortedError(absl::StrCat(what, ": ", absl::string_view(text, length)));
}

// MPI of this process, from MPI_Init to MPI_Finalize, shared by its groups: MPI itself is one to a
// process. Once a group has failed, MPI is never called again, so that what is still in flight
// can't land in memory that was given back.
class Session {
 public:
  static absl::StatusOr<std::shared_ptr<Session>> Join(absl::Duration timeout) {
    static absl::Mutex mutex(absl::kConstInit);
    static auto* current = new std::weak_ptr<Session>;
    absl::MutexLock lock(&mutex);
    if (std::shared_ptr<Session> session = current->lock()) return session;
    int initialized = 0;
    MPI_Initialized(&initialized);
    if (initialized) {
      return absl::FailedPreconditionError(
          "MPI has ended, or was begun by others, in this process");
    }
    int provided = 0;
    PONDER_RETURN_IF_ERROR(MpiStatus(
        MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread"));
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    auto session = std::make_shared<Session>(timeout);
    if (provided < MPI_THREAD_SERIALIZED) {
      return absl::FailedPreconditionError("this MPI serves only the thread that began it");
    }
    *current = session;
    return session;
  }

  explicit Session(absl::Duration timeout) : timeout_(timeout) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // MPI_Finalize waits for all ranks without end, hence the barrier that doesn't.
  ~Session() {
    if (!failure_.ok()) return;
    MPI_Request request;
    int done = 0;
    const bool all_came =
        MPI_Ibarrier(MPI_COMM_WORLD, &request) == MPI_SUCCESS &&
        PollUntil(SteadyNow() + timeout_, [&request, &done] {
          return MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done == 0;
        });
    if (all_came && done != 0) {
      MPI_Finalize();
    } else {
      PONDER_LOG(kWarning, "leaving MPI alone: the other ranks did not come to the end within ",
                 absl::FormatDuration(timeout_));
    }
  }

  const absl::Status& failure() const { return failure_; }
  absl::Status Fail(const absl::Status& why) {
    if (failure_.ok()) failure_ = why;
    return why;
  }

 private:
  const absl::Duration timeout_;
  absl::Status failure_;  // of the one thread that calls the groups
};

struct Block {
  uint8_t* data = nullptr;
  int64_t bytes = 0;
};

// What an exchange is for; part of its tag, so that ranks that disagree wait for each other instead
// of mixing data up.
enum class Operation { kBarrier, kBroadcast, kAllReduceSum, kAllGather, kAllToAll, kSplit };

const char* Name(Operation operation) {
  switch (operation) {
    case Operation::kBarrier:
      return "Barrier";
    case Operation::kBroadcast:
      return "Broadcast";
    case Operation::kAllReduceSum:
      return "AllReduceSum";
    case Operation::kAllGather:
      return "AllGather";
    case Operation::kAllToAll:
      return "AllToAll";
    case Operation::kSplit:
      return "Split";
  }
  return "?";
}

// The messages of one exchange that are under way.
class Exchange {
 public:
  Exchange(MPI_Comm comm, int rank, int tag, Operation operation)
      : comm_(comm), rank_(rank), tag_(tag), operation_(operation) {}

  // Sends to[r] to rank r and fills from[r] from it, for all r; empty blocks cost no message.
  absl::Status Run(const std::vector<Block>& to, const std::vector<Block>& from,
                   absl::Duration timeout) {
    const int size = static_cast<int>(to.size());
    // Everybody starts with the next rank, so that not all of them flood rank 0 first.
    for (int i = 1; i < size; ++i) {
      PONDER_RETURN_IF_ERROR(Begin((rank_ + size - i) % size, from, /*receive=*/true));
    }
    for (int i = 1; i < size; ++i) {
      PONDER_RETURN_IF_ERROR(Begin((rank_ + i) % size, to, /*receive=*/false));
    }
    if (from[rank_].bytes > 0 && from[rank_].data != to[rank_].data) {
      std::memcpy(from[rank_].data, to[rank_].data, from[rank_].bytes);
    }
    absl::Status status;
    const bool in_time = PollUntil(SteadyNow() + timeout, [this, &status] {
      status = Test();
      return status.ok() && !requests_.empty();
    });
    if (in_time) return status;
    std::vector<int> missing;
    for (const Message& message : messages_) missing.push_back(message.peer);
    std::sort(missing.begin(), missing.end());
    missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
    return absl::DeadlineExceededError(
        absl::StrCat(Name(operation_), ": ", missing.size() == 1 ? "rank " : "ranks ",
                     absl::StrJoin(missing, ", "), " of ", size, " did not answer rank ", rank_,
                     " within ", absl::FormatDuration(timeout)));
  }

 private:
  struct Message {
    int peer = 0;
    int bytes = 0;
    bool receive = false;
  };

  absl::Status Begin(int peer, const std::vector<Block>& blocks, bool receive) {
    const Block& block = blocks[peer];
    for (int64_t at = 0; at < block.bytes; at += kLargestMessage) {
      const int bytes = static_cast<int>(std::min(kLargestMessage, block.bytes - at));
      MPI_Request request;
      const int code =
          receive ? MPI_Irecv(block.data + at, bytes, MPI_BYTE, peer, tag_, comm_, &request)
                  : MPI_Isend(block.data + at, bytes, MPI_BYTE, peer, tag_, comm_, &request);
      PONDER_RETURN_IF_ERROR(Checked(code, peer));
      requests_.push_back(request);
      messages_.push_back({peer, bytes, receive});
    }
    return absl::OkStatus();
  }

  // Takes out what is done.
  absl::Status Test() {
    if (requests_.empty()) return absl::OkStatus();
    const int count = static_cast<int>(requests_.size());
    std::vector<int> done(count);
    std::vector<MPI_Status> statuses(count);
    int done_count = 0;
    const int code =
        MPI_Testsome(count, requests_.data(), &done_count, done.data(), statuses.data());
    if (code != MPI_SUCCESS && code != MPI_ERR_IN_STATUS) return MpiStatus(code, Name(operation_));
    for (int i = 0; i < done_count; ++i) {
      const Message& message = messages_[done[i]];
      if (code == MPI_ERR_IN_STATUS) {
        PONDER_RETURN_IF_ERROR(Checked(statuses[i].MPI_ERROR, message.peer));
      }
      int received = message.bytes;
      if (message.receive) MPI_Get_count(&statuses[i], MPI_BYTE, &received);
      if (received != message.bytes) {
        return absl::AbortedError(absl::StrCat(Name(operation_), ": rank ", message.peer, " sent ",
                                               received, " bytes where rank ", rank_, " expects ",
                                               message.bytes));
      }
    }
    size_t kept = 0;
    for (size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i] == MPI_REQUEST_NULL) continue;
      requests_[kept] = requests_[i];
      messages_[kept++] = messages_[i];
    }
    requests_.resize(kept);
    messages_.resize(kept);
    return absl::OkStatus();
  }

  absl::Status Checked(int code, int peer) const {
    if (code == MPI_SUCCESS) return absl::OkStatus();
    return MpiStatus(code, absl::StrCat(Name(operation_), " with rank ", peer));
  }

  const MPI_Comm comm_;
  const int rank_;
  const int tag_;
  const Operation operation_;
  std::vector<MPI_Request> requests_;
  std::vector<Message> messages_;  // of the requests
};

class MpiGroup final : public Group {
 public:
  // Takes over `comm`, unless it is MPI_COMM_WORLD.
  MpiGroup(std::shared_ptr<Session> session, MPI_Comm comm, const GroupOptions& options)
      : session_(std::move(session)), comm_(comm), options_(options) {
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
  }
  ~MpiGroup() override {
    if (comm_ != MPI_COMM_WORLD && session_->failure().ok()) MPI_Comm_free(&comm_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  absl::Status Barrier() override {
    std::vector<uint8_t> present(size_);
    return GatherSlices(Operation::kBarrier, Slices(present.data(), size_, 1));
  }

  // Rank r gets slice r from the root, then all get all slices: the root sends no more than twice
  // the bytes.
  absl::Status Broadcast(absl::Span<uint8_t> bytes, int root) override {
    PONDER_RETURN_IF_ERROR(CheckRoot(root, size_));
    const std::vector<Block> slices = Slices(bytes.data(), bytes.size(), 1);
    std::vector<Block> to(size_), from(size_);
    if (rank_ == root) to = slices;
    from[root] = slices[rank_];
    PONDER_RETURN_IF_ERROR(Run(Operation::kBroadcast, to, from));
    return GatherSlices(Operation::kBroadcast, slices);
  }

  absl::Status AllReduceSum(absl::Span<float> x) override { return Sum(x); }
  absl::Status AllReduceSum(absl::Span<double> x) override { return Sum(x); }

  absl::Status AllGather(absl::Span<const uint8_t> in, absl::Span<uint8_t> out) override {
    PONDER_RETURN_IF_ERROR(CheckAllGather(in.size(), out.size(), size_));
    std::copy(in.begin(), in.end(), out.begin() + rank_ * in.size());
    return GatherSlices(Operation::kAllGather, Slices(out.data(), out.size(), 1));
  }

  absl::Status AllToAll(absl::Span<const float> in, absl::Span<const int64_t> send_counts,
                        absl::Span<float> out, absl::Span<const int64_t> recv_counts) override {
    PONDER_RETURN_IF_ERROR(
        CheckAllToAll(in.size(), send_counts, out.size(), recv_counts, rank_, size_));
    return Run(Operation::kAllToAll, Blocks(in.data(), send_counts),
               Blocks(out.data(), recv_counts));
  }

  absl::StatusOr<std::unique_ptr<Group>> Split(int color) override {
    PONDER_RETURN_IF_ERROR(CheckColor(color));
    // MPI_Comm_split waits without end: only once everybody is known to be here.
    PONDER_RETURN_IF_ERROR(Annotate(Barrier(), "Split"));
    MPI_Comm part;
    const absl::Status status = MpiStatus(MPI_Comm_split(comm_, color, rank_, &part), "Split");
    if (!status.ok()) return session_->Fail(status);
    return std::make_unique<MpiGroup>(session_, part, options_);
  }

 private:
  // One block a rank, one after the other. The const_cast: a block that is sent is not written to.
  static std::vector<Block> Blocks(const float* data, absl::Span<const int64_t> counts) {
    std::vector<Block> blocks;
    auto* at = reinterpret_cast<uint8_t*>(const_cast<float*>(data));
    for (const int64_t count : counts) {
      blocks.push_back({at, count * static_cast<int64_t>(sizeof(float))});
      at += blocks.back().bytes;
    }
    return blocks;
  }

  // `count` elements cut into one slice a rank, equal but for one element.
  std::vector<Block> Slices(uint8_t* data, int64_t count, int64_t element_bytes) const {
    std::vector<Block> slices;
    for (int64_t r = 0; r < size_; ++r) {
      const int64_t begin = count * r / size_, end = count * (r + 1) / size_;
      slices.push_back({data + begin * element_bytes, (end - begin) * element_bytes});
    }
    return slices;
  }

  absl::Status Run(Operation operation, const std::vector<Block>& to,
                   const std::vector<Block>& from) {
    PONDER_RETURN_IF_ERROR(session_->failure());
    const int tag = static_cast<int>(exchanges_++ % 1024 * 8) + static_cast<int>(operation);
    const absl::Status status =
        Exchange(comm_, rank_, tag, operation).Run(to, from, options_.timeout);
    return status.ok() ? status : session_->Fail(status);
  }

  // Everybody has slice `rank` and gets the others.
  absl::Status GatherSlices(Operation operation, const std::vector<Block>& slices) {
    return Run(operation, std::vector<Block>(size_, slices[rank_]), slices);
  }

  // Rank r gets slice r of all ranks, adds them up in rank order, and sends the sum to all.
  template <typename T>
  absl::Status Sum(absl::Span<T> x) {
    std::vector<T> terms;  // [size, my slice]
    for (size_t at = 0; at < x.size(); at += kSumAtOnce) {
      const absl::Span<T> part = x.subspan(at, kSumAtOnce);
      const std::vector<Block> slices =
          Slices(reinterpret_cast<uint8_t*>(part.data()), part.size(), sizeof(T));
      const Block& mine = slices[rank_];
      const int64_t n = mine.bytes / sizeof(T);
      terms.resize(n * size_);
      PONDER_RETURN_IF_ERROR(
          Run(Operation::kAllReduceSum, slices,
              Slices(reinterpret_cast<uint8_t*>(terms.data()), terms.size(), sizeof(T))));
      T* sum = reinterpret_cast<T*>(mine.data);
      for (int r = 0; r < size_; ++r) {
        const T* term = terms.data() + r * n;
        for (int64_t i = 0; i < n; ++i) sum[i] = r == 0 ? term[i] : sum[i] + term[i];
      }
      PONDER_RETURN_IF_ERROR(GatherSlices(Operation::kAllReduceSum, slices));
    }
    return absl::OkStatus();
  }

  const std::shared_ptr<Session> session_;
  MPI_Comm comm_;
  const GroupOptions options_;
  int rank_ = 0;
  int size_ = 1;
  int64_t exchanges_ = 0;  // the same number on every rank
};

}  // namespace

absl::StatusOr<std::unique_ptr<Group>> MakeMpiGroup(const GroupOptions& options) {
  PONDER_ASSIGN_OR_RETURN(auto session, Session::Join(options.timeout));
  return std::make_unique<MpiGroup>(std::move(session), MPI_COMM_WORLD, options);
}

}  // namespace ponder::comm
