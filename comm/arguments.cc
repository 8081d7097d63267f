#include "comm/arguments.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace ponder::comm {
namespace {

absl::Status CheckCounts(absl::string_view side, size_t buffer, absl::Span<const int64_t> counts,
                         int size) {
  if (counts.size() != static_cast<size_t>(size)) {
    return absl::InvalidArgumentError(
        absl::StrCat("AllToAll: ", counts.size(), " ", side, "_counts for a group of ", size));
  }
  uint64_t total = 0;
  for (int r = 0; r < size; ++r) {
    if (counts[r] < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("AllToAll: ", side, "_counts[", r, "] is ", counts[r]));
    }
    total += counts[r];
  }
  if (total != buffer) {
    return absl::InvalidArgumentError(absl::StrCat("AllToAll: the ", side, "_counts add up to ",
                                                   total, ", the buffer holds ", buffer));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRoot(int root, int size) {
  if (root >= 0 && root < size) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("Broadcast: no rank ", root, " in a group of ", size));
}

absl::Status CheckAllGather(size_t in_bytes, size_t out_bytes, int size) {
  if (out_bytes == in_bytes * size) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("AllGather: ", in_bytes, " bytes from each of ",
                                                 size, " ranks don't fill ", out_bytes));
}

absl::Status CheckAllToAll(size_t in_floats, absl::Span<const int64_t> send_counts,
                           size_t out_floats, absl::Span<const int64_t> recv_counts, int rank,
                           int size) {
  PONDER_RETURN_IF_ERROR(CheckCounts("send", in_floats, send_counts, size));
  PONDER_RETURN_IF_ERROR(CheckCounts("recv", out_floats, recv_counts, size));
  if (send_counts[rank] != recv_counts[rank]) {
    return absl::InvalidArgumentError(absl::StrCat("AllToAll: rank ", rank, " sends itself ",
                                                   send_counts[rank], " floats but expects ",
                                                   recv_counts[rank]));
  }
  return absl::OkStatus();
}

absl::Status CheckColor(int color) {
  if (color >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("Split: negative color ", color));
}

}  // namespace ponder::comm
