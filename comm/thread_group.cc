// Ranks as threads. They meet once for each operation: every rank brings a copy of what it sends,
// waits until all have come, and reads what it needs from the others' copies. Nobody ever reads a
// peer's own memory, so a rank may fail and leave at any moment.
#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "comm/arguments.h"
#include "comm/group.h"

namespace ponder::comm {
namespace {

std::string RankNames(const std::vector<int>& ranks) {
  return absl::StrCat(ranks.size() == 1 ? "rank " : "ranks ", absl::StrJoin(ranks, ", "));
}

// What one rank brings to a meeting.
struct Contribution {
  std::string operation;       // name and the arguments that all ranks must agree on
  std::vector<uint8_t> bytes;  // what it sends
  std::vector<int64_t>
      offsets;  // AllToAll: where in `bytes` the part of each rank begins; size + 1
};

// A machine, thread-safe: the place where the ranks of one group meet, over and over. Two tables
// take turns: a rank can lay something on the table of meeting n + 2 only after all have come to n
// + 1, hence have read all of n.
class MeetingPlace {
 public:
  MeetingPlace(int size, absl::Duration timeout)
      : size_(size), timeout_(timeout), meetings_(size, 0), left_(size, false) {
    tables_.fill(std::vector<Contribution>(size));
  }

  int size() const { return size_; }
  absl::Duration timeout() const { return timeout_; }

  // Brings `mine` to this rank's next meeting and waits for the others. The table stays readable
  // until the rank's next call.
  absl::StatusOr<const std::vector<Contribution>*> Meet(int rank, Contribution mine)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    PONDER_RETURN_IF_ERROR(failure_);
    const int64_t meeting = meetings_[rank] + 1;
    std::vector<Contribution>& table = tables_[meeting % 2];
    table[rank] = std::move(mine);
    meetings_[rank] = meeting;

    const auto settled = [this, meeting]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !failure_.ok() || !Missing(meeting, /*gone=*/true).empty() ||
             Missing(meeting, /*gone=*/false).empty();
    };
    const bool in_time = AwaitUntil(mutex_, absl::Condition(&settled), SteadyNow() + timeout_);

    // A meeting that was complete stays so, even if a rank has failed or left since.
    const std::vector<int> missing = Missing(meeting, /*gone=*/false);
    if (missing.empty()) return Agreed(table, rank);
    const std::string& operation = table[rank].operation;
    const std::vector<int> gone = Missing(meeting, /*gone=*/true);
    if (failure_.ok() && !gone.empty()) {
      failure_ = absl::AbortedError(
          absl::StrCat(operation, ": ", RankNames(gone), " of ", size_, " left the group"));
    }
    if (failure_.ok() && !in_time) {
      failure_ = absl::DeadlineExceededError(absl::StrCat(operation, ": ", RankNames(missing),
                                                          " of ", size_, " did not come within ",
                                                          absl::FormatDuration(timeout_)));
    }
    return failure_;
  }

  // `rank` can't go on: nor can the others.
  absl::Status Fail(int rank, const absl::Status& why) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (failure_.ok()) {
      failure_ = absl::AbortedError(
          absl::StrCat("rank ", rank, " of ", size_, " failed: ", why.message()));
    }
    return why;
  }

  void Leave(int rank) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    left_[rank] = true;
  }

  // The meeting place of the `members` ranks that passed `color` at this rank's latest meeting: the
  // first makes it, the last one takes it off the list.
  std::shared_ptr<MeetingPlace> TakePart(int rank, int color, int members)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const auto key = std::make_pair(meetings_[rank], color);
    Part& part = parts_[key];
    if (part.place == nullptr) part = {std::make_shared<MeetingPlace>(members, timeout_), members};
    std::shared_ptr<MeetingPlace> place = part.place;
    if (--part.takers == 0) parts_.erase(key);
    return place;
  }

 private:
  struct Part {
    std::shared_ptr<MeetingPlace> place;
    int takers = 0;
  };

  // Who has not come to `meeting`; with `gone`, only those who never will.
  std::vector<int> Missing(int64_t meeting, bool gone) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<int> missing;
    for (int r = 0; r < size_; ++r) {
      if (meetings_[r] < meeting && (!gone || left_[r])) missing.push_back(r);
    }
    return missing;
  }

  // Did all ranks call the same?
  absl::StatusOr<const std::vector<Contribution>*> Agreed(const std::vector<Contribution>& table,
                                                          int rank)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (int r = 1; r < size_; ++r) {
      if (table[r].operation == table[0].operation) continue;
      const absl::Status disagreement = absl::AbortedError(
          absl::StrCat(table[rank].operation, ": the ranks disagree: rank 0 called ",
                       table[0].operation, ", rank ", r, " called ", table[r].operation));
      if (failure_.ok()) failure_ = disagreement;
      return disagreement;
    }
    return &table;
  }

  const int size_;
  const absl::Duration timeout_;
  absl::Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::vector<int64_t> meetings_ ABSL_GUARDED_BY(mutex_);  // [rank]: how many it has come to
  std::vector<bool> left_ ABSL_GUARDED_BY(mutex_);
  // Written under the mutex; read without it by those who have met, see above.
  std::array<std::vector<Contribution>, 2> tables_;
  std::map<std::pair<int64_t, int>, Part> parts_ ABSL_GUARDED_BY(mutex_);
};

std::vector<uint8_t> Copy(const void* data, size_t bytes) {
  const auto* begin = static_cast<const uint8_t*>(data);
  return std::vector<uint8_t>(begin, begin + bytes);
}

class ThreadGroup final : public Group {
 public:
  ThreadGroup(std::shared_ptr<MeetingPlace> place, int rank)
      : place_(std::move(place)), rank_(rank) {}
  ~ThreadGroup() override { place_->Leave(rank_); }

  int rank() const override { return rank_; }
  int size() const override { return place_->size(); }

  absl::Status Barrier() override { return Meet("Barrier", {}).status(); }

  absl::Status Broadcast(absl::Span<uint8_t> bytes, int root) override {
    PONDER_RETURN_IF_ERROR(Checked(CheckRoot(root, size())));
    PONDER_ASSIGN_OR_RETURN(
        const auto* table,
        Meet(absl::StrCat("Broadcast of ", bytes.size(), " bytes from rank ", root),
             rank_ == root ? Copy(bytes.data(), bytes.size()) : std::vector<uint8_t>()));
    const std::vector<uint8_t>& sent = (*table)[root].bytes;
    if (rank_ != root) std::copy(sent.begin(), sent.end(), bytes.begin());
    return absl::OkStatus();
  }

  absl::Status AllReduceSum(absl::Span<float> x) override { return Sum(x, "float32"); }
  absl::Status AllReduceSum(absl::Span<double> x) override { return Sum(x, "float64"); }

  absl::Status AllGather(absl::Span<const uint8_t> in, absl::Span<uint8_t> out) override {
    PONDER_RETURN_IF_ERROR(Checked(CheckAllGather(in.size(), out.size(), size())));
    PONDER_ASSIGN_OR_RETURN(const auto* table,
                            Meet(absl::StrCat("AllGather of ", in.size(), " bytes a rank"),
                                 Copy(in.data(), in.size())));
    auto to = out.begin();
    for (const Contribution& from : *table)
      to = std::copy(from.bytes.begin(), from.bytes.end(), to);
    return absl::OkStatus();
  }

  absl::Status AllToAll(absl::Span<const float> in, absl::Span<const int64_t> send_counts,
                        absl::Span<float> out, absl::Span<const int64_t> recv_counts) override {
    PONDER_RETURN_IF_ERROR(
        Checked(CheckAllToAll(in.size(), send_counts, out.size(), recv_counts, rank_, size())));
    std::vector<int64_t> offsets = {0};
    for (const int64_t count : send_counts) {
      offsets.push_back(offsets.back() + count * static_cast<int64_t>(sizeof(float)));
    }
    PONDER_ASSIGN_OR_RETURN(
        const auto* table,
        Meet("AllToAll", Copy(in.data(), in.size() * sizeof(float)), std::move(offsets)));
    float* to = out.data();
    for (int r = 0; r < size(); ++r) {
      const Contribution& from = (*table)[r];
      const int64_t bytes = from.offsets[rank_ + 1] - from.offsets[rank_];
      if (bytes != recv_counts[r] * static_cast<int64_t>(sizeof(float))) {
        return Checked(absl::InvalidArgumentError(
            absl::StrCat("AllToAll: rank ", r, " sends ", bytes / sizeof(float), " floats to rank ",
                         rank_, ", which expects ", recv_counts[r])));
      }
      if (bytes > 0) std::memcpy(to, from.bytes.data() + from.offsets[rank_], bytes);
      to += recv_counts[r];
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Group>> Split(int color) override {
    PONDER_RETURN_IF_ERROR(Checked(CheckColor(color)));
    PONDER_ASSIGN_OR_RETURN(const auto* table, Meet("Split", Copy(&color, sizeof(color))));
    int members = 0;
    int rank = 0;
    for (int r = 0; r < size(); ++r) {
      if (r == rank_) rank = members;
      if ((*table)[r].bytes == (*table)[rank_].bytes) ++members;
    }
    return std::make_unique<ThreadGroup>(place_->TakePart(rank_, color, members), rank);
  }

 private:
  absl::StatusOr<const std::vector<Contribution>*> Meet(std::string operation,
                                                        std::vector<uint8_t> bytes,
                                                        std::vector<int64_t> offsets = {}) {
    return place_->Meet(rank_, {std::move(operation), std::move(bytes), std::move(offsets)});
  }

  absl::Status Checked(const absl::Status& status) {
    return status.ok() ? status : place_->Fail(rank_, status);
  }

  template <typename T>
  absl::Status Sum(absl::Span<T> x, absl::string_view dtype) {
    PONDER_ASSIGN_OR_RETURN(const auto* table,
                            Meet(absl::StrCat("AllReduceSum of ", x.size(), " ", dtype),
                                 Copy(x.data(), x.size() * sizeof(T))));
    for (int r = 0; r < size(); ++r) {
      const T* term = reinterpret_cast<const T*>((*table)[r].bytes.data());
      for (size_t i = 0; i < x.size(); ++i) x[i] = r == 0 ? term[i] : x[i] + term[i];
    }
    return absl::OkStatus();
  }

  const std::shared_ptr<MeetingPlace> place_;
  const int rank_;
};

}  // namespace

std::vector<std::unique_ptr<Group>> MakeThreadGroup(int size, const GroupOptions& options) {
  PONDER_CHECK(size >= 1, "a group of ", size, " ranks");
  auto place = std::make_shared<MeetingPlace>(size, options.timeout);
  std::vector<std::unique_ptr<Group>> ranks;
  for (int r = 0; r < size; ++r) ranks.push_back(std::make_unique<ThreadGroup>(place, r));
  return ranks;
}

}  // namespace ponder::comm
