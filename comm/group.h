// Group: a set of ranks that act together. The seam between the parallel code and its transport.
//
// A seam. Every rank calls the same operations in the same order, from one thread at a time; a call
// returns when its result is usable. Sums are taken in rank order, so that every rank gets the same
// bits, whatever the transport. Three kinds: threads of one process (tests, one machine), MPI
// (CPU), NCCL (GPU); a kind that was not compiled in answers Unavailable.
//
// Errors. InvalidArgument: sizes that don't fit; DeadlineExceeded: a peer hung for longer than
// GroupOptions::timeout; Aborted: a peer left, failed or called something else. The message names
// the operation and, where the transport knows them, the peers. A group that has failed once stays
// failed: its ranks no longer agree on where they are, so every later call returns the first error.
// No call waits longer than the timeout.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace ponder::comm {

struct GroupOptions {
  absl::Duration timeout = absl::Minutes(10);  // of one operation
};

class Group {
 public:
  virtual ~Group() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  virtual absl::Status Barrier() = 0;
  // x of `root` replaces x everywhere. Same size on all ranks.
  virtual absl::Status Broadcast(absl::Span<uint8_t> bytes, int root) = 0;
  // x <- sum over ranks, in rank order: the same bits on every rank and for every transport.
  virtual absl::Status AllReduceSum(absl::Span<float> x) = 0;
  virtual absl::Status AllReduceSum(absl::Span<double> x) = 0;
  // out = [in of rank 0 | in of rank 1 | ...]; out.size() == size() * in.size().
  virtual absl::Status AllGather(absl::Span<const uint8_t> in, absl::Span<uint8_t> out) = 0;
  // All-to-all-v: sends send_counts[r] floats to rank r, taken in order from `in`, and fills `out`
  // with what arrives, ordered by sender; recv_counts[r] floats come from rank r. The heart of
  // expert dispatch.
  virtual absl::Status AllToAll(absl::Span<const float> in, absl::Span<const int64_t> send_counts,
                                absl::Span<float> out, absl::Span<const int64_t> recv_counts) = 0;
  // A new group of the ranks that passed the same `color`, ordered by rank. Every rank of this
  // group must call it.
  virtual absl::StatusOr<std::unique_ptr<Group>> Split(int color) = 0;
};

// A group of one: every operation is the identity.
std::unique_ptr<Group> MakeSoloGroup();
// One Group for each of `size` threads, to be handed to them; they share state that lives as long
// as any of them.
std::vector<std::unique_ptr<Group>> MakeThreadGroup(int size, const GroupOptions& options = {});
// MPI_COMM_WORLD. Initialises MPI (MPI_THREAD_MULTIPLE is not needed) and finalises it with the
// last group.
absl::StatusOr<std::unique_ptr<Group>> MakeMpiGroup(const GroupOptions& options = {});
// One GPU a rank, NCCL over the current device; `bootstrap` carries the unique id.
absl::StatusOr<std::unique_ptr<Group>> MakeNcclGroup(Group& bootstrap,
                                                     const GroupOptions& options = {});

}  // namespace ponder::comm
