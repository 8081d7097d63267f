// The safetensors format: 8 bytes little-endian header length, a JSON header {name: {dtype, shape,
// data_offsets}}, the data.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "moe/weights.h"

namespace ponder::moe {

// One tensor of a file. A value.
struct SafetensorsTensor {
  std::string name;
  std::string dtype;  // as the format spells it: "F32", "BF16", "F8_E4M3", ...
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // bytes, from the start of the data
  uint64_t end = 0;
};

struct SafetensorsFile {
  std::vector<SafetensorsTensor> tensors;  // in the order of their bytes
  uint64_t data_begin = 0;                 // of the data in the file
};

// Checks the header of a whole file before anything is allocated for its data: sizes, overlaps,
// gaps, duplicate names. DataLoss names the tensor.
absl::StatusOr<SafetensorsFile> ParseSafetensorsHeader(absl::string_view file);
// The bytes before the data. `tensors` lie one after another from 0.
std::string SafetensorsHeader(absl::Span<const SafetensorsTensor> tensors);

// The dtype that safetensors spells so; none of other programs' dtypes.
std::optional<DType> DTypeNamed(absl::string_view name);

}  // namespace ponder::moe
