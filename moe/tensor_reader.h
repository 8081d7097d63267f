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
  // The i-th block as float32: in place, or converted into `scratch` [block]. Each block is read
  // once; different ones from different threads.
  const float* Read(int64_t i, float* scratch);
  // Read, into `out` in any case.
  void Copy(int64_t i, float* out);
  // After all blocks, and last: DataLoss, with the tensor's and the file's name, if they are not
  // what was written.
  absl::Status Finish();

 private:
  TensorReader(const Weights& weights, size_t tensor, int64_t elements, int64_t block);
  int64_t BlockSize(int64_t i) const;
  void Sum(int64_t i);  // the checksum of the block

  const TensorSpec& spec_;
  const TensorBytes& place_;
  const int64_t elements_;
  const int64_t block_;
  int64_t element_bytes_;
  bool in_place_;
  std::vector<uint32_t> crc32_;  // by block; empty: nothing to compare with
};

}  // namespace ponder::moe
