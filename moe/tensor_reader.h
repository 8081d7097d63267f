// TensorReader: reads one tensor of floats block by block, from several threads, and compares what
// it read with the file's checksum on the way, while the bytes are in the cache. A machine, for the
// length of one reading.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "moe/weights.h"

namespace ponder::moe {

class TensorReader {
 public:
  // The tensor, which must have `elements`, in blocks of `block`, the last one perhaps shorter. The
  // weights outlive it. Errors as Weights::CopyF32.
  static absl::StatusOr<TensorReader> Open(const Weights& weights, absl::string_view name,
                                           int64_t elements, int64_t block);

  int64_t blocks() const { return (elements_ + block_ - 1) / block_; }
  // The i-th block as float32: in place, or in `scratch` [block]. Each block is read once; different
  // ones from different threads. What can't be read is told by Finish.
  const float* Read(int64_t i, float* scratch);
  // Read, into `out` in any case.
  void Copy(int64_t i, float* out);
  // After all blocks, and last: DataLoss, with the tensor's and the file's name, if they are not
  // what was written.
  absl::Status Finish();

 private:
  TensorReader(const Weights& weights, size_t tensor, int64_t elements, int64_t block);
  void Fail(const absl::Status& status);
  int64_t BlockSize(int64_t i) const;
  // The block's bytes, summed: in memory, or copied out of the file, into `out` if that is not null.
  const uint8_t* Bytes(int64_t i, uint8_t* out);

  const TensorSpec& spec_;
  const TensorBytes& place_;
  const int64_t elements_;
  const int64_t block_;
  int64_t element_bytes_;
  bool in_place_;
  std::vector<uint32_t> crc32_;  // by block; empty: nothing to compare with
  absl::Status failure_;         // the first
};

}  // namespace ponder::moe
