// Batch: a checked PackedBatch with what the layers derive from it. A value; kept from a forward to
// its backward.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "moe/decoder.h"
#include "moe/model_config.h"

namespace ponder::moe {

struct Batch {
  std::vector<int32_t> tokens;     // [T]
  std::vector<int32_t> positions;  // [T], within the sequence
  std::vector<int64_t> starts;     // [S + 1]
  std::vector<uint16_t> routing;   // see PackedBatch

  int64_t size() const { return tokens.size(); }
};

// InvalidArgument names what is wrong with the batch.
absl::StatusOr<Batch> CheckBatch(const ModelConfig& config, const PackedBatch& packed);

// InvalidArgument: rows outside the batch, targets outside the vocabulary, lengths that differ.
absl::Status CheckTargets(const ModelConfig& config, int64_t tokens, absl::Span<const int32_t> rows,
                          absl::Span<const int32_t> targets, float temperature);

}  // namespace ponder::moe
