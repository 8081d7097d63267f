// Which experts the routers of a model chose, token by token: as bytes, for actors that record it
// and the learner that replays it (R3, arXiv 2510.11370).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "moe/model_config.h"

namespace ponder::moe {

// Of a token whose experts are not given: its routers choose.
constexpr uint16_t kUnroutedToken = 0xffff;

// A value: what a record of one token holds.
struct RoutingShape {
  std::vector<int64_t> layers;  // those that route, ascending
  int64_t slots = 0;            // experts a token and layer
  int64_t experts = 0;          // to choose from, below kUnroutedToken

  static RoutingShape Of(const ModelConfig& config);
  int64_t token_slots() const { return static_cast<int64_t>(layers.size()) * slots; }
  // Of the model's `layer`, among a token's slots.
  int64_t first_slot(int64_t layer) const;
  int64_t slot_bytes() const { return experts > 256 ? 2 : 1; }
  int64_t token_bytes() const { return token_slots() * slot_bytes(); }
};

// Writes the experts [slots] of the `index`-th of shape.layers into a token's record.
void WriteRouting(const RoutingShape& shape, int64_t index, const int32_t* experts,
                  uint8_t* token_record);

// The records of `tokens` tokens as numbers [tokens, layers, slots]. InvalidArgument: another
// number of bytes, an expert that there is not, or one twice in a layer.
absl::StatusOr<std::vector<uint16_t>> ReadRouting(const RoutingShape& shape,
                                                  absl::string_view record, int64_t tokens);

}  // namespace ponder::moe
