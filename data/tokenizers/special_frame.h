// SpecialFrame: the "post_processor" of a tokenizer.json, as far as one text goes: the special
// tokens that are put before and after it. A value.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "data/tokenizers/json_node.h"

namespace ponder::data {

class SpecialFrame {
 public:
  // Nothing: no frame. TemplateProcessing, ByteLevel (which adds none), BertProcessing,
  // RobertaProcessing and Sequence are known; another is an error that names it.
  static absl::StatusOr<SpecialFrame> FromJson(const std::optional<JsonNode>& node,
                                               int64_t max_token_id);

  void Apply(std::vector<int32_t>* ids) const;

 private:
  // What stands before and after one copy of the text.
  struct Layer {
    std::vector<int32_t> before, after;
    bool text = false;
  };
  absl::Status Append(const JsonNode& node, int64_t max_token_id, int depth);
  absl::Status AppendTemplate(const JsonNode& node, int64_t max_token_id);

  std::vector<Layer> layers_;  // from the inside
};

}  // namespace ponder::data
