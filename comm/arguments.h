// What every kind of Group checks before it moves a byte: do the sizes fit? The errors name the
// operation and the numbers.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace ponder::comm {

absl::Status CheckRoot(int root, int size);
// `in_bytes` from each of `size` ranks fill `out_bytes`.
absl::Status CheckAllGather(size_t in_bytes, size_t out_bytes, int size);
// Non-negative counts, one for each rank, that add up to the buffers; what `rank` sends itself is
// what it receives.
absl::Status CheckAllToAll(size_t in_floats, absl::Span<const int64_t> send_counts,
                           size_t out_floats, absl::Span<const int64_t> recv_counts, int rank,
                           int size);
absl::Status CheckColor(int color);

}  // namespace ponder::comm
