// What differs between the tensors of two checkpoints, whatever their shards and dtypes.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace ponder::moe {

// Values.
struct TensorDifference {
  std::string name;  // as in files
  std::string what;  // "only in A", "only in B", or how shape or dtype differ; empty: values alone
  bool values = false;  // the two below hold
  double max_abs = 0;   // |a - b|; NaN where one is a NaN and the other is not
  double relative = 0;  // ||a - b|| / ||a||; infinite if a is all 0
};
struct CheckpointDiff {
  int64_t tensors = 0;  // of both together, each name once
  std::vector<TensorDifference> differences;  // by name
};

// Compares the safetensors files in two folders, one tensor at a time; those with the same bytes do
// not differ. Elements that are not F32, BF16 or F16 are compared as bytes.
absl::StatusOr<CheckpointDiff> DiffCheckpoints(const std::string& a, const std::string& b);

}  // namespace ponder::moe
