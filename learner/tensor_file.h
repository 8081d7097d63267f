// Named tensors as a safetensors file of a checked folder, and back.
#pragma once

#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "moe/checked_folder.h"

namespace ponder::learner {

struct NamedTensor {
  std::string name;
  at::Tensor values;  // contiguous float32
};

moe::FolderFile TensorFile(const std::vector<NamedTensor>& tensors);

// Fills in the tensors from a file of a checked folder that has these and no others. DataLoss: it
// has not.
absl::Status ReadTensorFile(const std::string& folder, const std::string& name,
                            const std::vector<NamedTensor>& tensors);

}  // namespace ponder::learner
