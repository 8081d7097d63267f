#include "moe/routing_record.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ponder::moe {

RoutingShape RoutingShape::Of(const ModelConfig& config) {
  RoutingShape shape;
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    if (config.IsMoeLayer(layer)) shape.layers.push_back(layer);
  }
  shape.slots = config.num_experts_per_tok;
  shape.experts = config.num_experts;
  return shape;
}

int64_t RoutingShape::first_slot(int64_t layer) const {
  return (std::lower_bound(layers.begin(), layers.end(), layer) - layers.begin()) * slots;
}

void WriteRouting(const RoutingShape& shape, int64_t index, const int32_t* experts,
                  uint8_t* token_record) {
  const int64_t bytes = shape.slot_bytes();
  uint8_t* to = token_record + index * shape.slots * bytes;
  for (int64_t k = 0; k < shape.slots; ++k) {
    to[k * bytes] = static_cast<uint8_t>(experts[k]);
    if (bytes == 2) to[k * bytes + 1] = static_cast<uint8_t>(experts[k] >> 8);
  }
}

absl::StatusOr<std::vector<uint16_t>> ReadRouting(const RoutingShape& shape,
                                                  absl::string_view record, int64_t tokens) {
  const int64_t bytes = shape.slot_bytes();
  if (static_cast<int64_t>(record.size()) != tokens * shape.token_bytes()) {
    return absl::InvalidArgumentError(
        absl::StrCat("routed_experts: ", record.size(), " bytes, but ", tokens, " tokens of ",
                     shape.layers.size(), " layers with ", shape.slots, " experts make ",
                     tokens * shape.token_bytes()));
  }
  std::vector<uint16_t> routing(static_cast<size_t>(tokens * shape.token_slots()));
  for (size_t i = 0; i < routing.size(); ++i) {
    const auto byte = [&](size_t at) { return static_cast<uint8_t>(record[at]); };
    routing[i] = bytes == 1 ? byte(i) : static_cast<uint16_t>(byte(2 * i) | byte(2 * i + 1) << 8);
    const auto layer_begin = routing.begin() + static_cast<int64_t>(i) / shape.slots * shape.slots;
    const auto here = routing.begin() + static_cast<int64_t>(i);
    if (routing[i] >= shape.experts || std::find(layer_begin, here, routing[i]) != here) {
      const int64_t token = static_cast<int64_t>(i) / shape.token_slots();
      return absl::InvalidArgumentError(absl::StrCat(
          "routed_experts: token ", token, " has expert ", routing[i],
          routing[i] >= shape.experts ? absl::StrCat(" of ", shape.experts) : " twice in a layer"));
    }
  }
  return routing;
}

}  // namespace ponder::moe
