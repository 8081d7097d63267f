#include "data/tokenizers/special_frame.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::data {

absl::StatusOr<SpecialFrame> SpecialFrame::FromJson(const std::optional<JsonNode>& node,
                                                    int64_t max_token_id) {
  SpecialFrame frame;
  if (node.has_value()) PONDER_RETURN_IF_ERROR(frame.Append(*node, max_token_id, 0));
  return frame;
}

absl::Status SpecialFrame::AppendTemplate(const JsonNode& node, int64_t max_token_id) {
  PONDER_ASSIGN_OR_RETURN(const JsonNode single, node.At("single"));
  PONDER_ASSIGN_OR_RETURN(const std::vector<JsonNode> pieces, single.Elements());
  Layer layer;
  for (const JsonNode& piece : pieces) {
    if (piece.Find("Sequence").has_value()) {
      if (layer.text) return piece.Error("is a second Sequence; one is supported");
      layer.text = true;
      continue;
    }
    PONDER_ASSIGN_OR_RETURN(const JsonNode special, piece.At("SpecialToken"));
    PONDER_ASSIGN_OR_RETURN(const std::string name, special.StringAt("id"));
    PONDER_ASSIGN_OR_RETURN(const JsonNode known, node.At("special_tokens"));
    PONDER_ASSIGN_OR_RETURN(const JsonNode token, known.At(name.c_str()));
    PONDER_ASSIGN_OR_RETURN(const JsonNode list, token.At("ids"));
    PONDER_ASSIGN_OR_RETURN(const std::vector<JsonNode> ids, list.Elements());
    for (const JsonNode& id : ids) {
      PONDER_ASSIGN_OR_RETURN(const int64_t value, id.Int(0, max_token_id));
      (layer.text ? layer.after : layer.before).push_back(static_cast<int32_t>(value));
    }
  }
  layers_.push_back(std::move(layer));
  return absl::OkStatus();
}

absl::Status SpecialFrame::Append(const JsonNode& node, int64_t max_token_id, int depth) {
  if (depth > kMaxSequenceDepth) return node.Error("nests too deep");
  PONDER_ASSIGN_OR_RETURN(const std::string type, node.StringAt("type"));
  if (type == "Sequence") {
    PONDER_ASSIGN_OR_RETURN(const JsonNode list, node.At("processors"));
    PONDER_ASSIGN_OR_RETURN(const std::vector<JsonNode> parts, list.Elements());
    for (const JsonNode& part : parts)
      PONDER_RETURN_IF_ERROR(Append(part, max_token_id, depth + 1));
    return absl::OkStatus();
  }
  if (type == "ByteLevel") return absl::OkStatus();
  if (type == "TemplateProcessing") return AppendTemplate(node, max_token_id);
  if (type != "BertProcessing" && type != "RobertaProcessing")
    return node.Error(absl::StrCat("has the type ", type, ", which is not supported"));
  Layer layer;
  layer.text = true;
  for (const auto& [key, place] :
       {std::make_pair("cls", &layer.before), std::make_pair("sep", &layer.after)}) {
    PONDER_ASSIGN_OR_RETURN(const JsonNode pair, node.At(key));
    if (!pair.value().is_array() || pair.value().size() != 2)
      return pair.Error("must be a token and its id");
    PONDER_ASSIGN_OR_RETURN(const int64_t id, pair.Element(1).Int(0, max_token_id));
    place->push_back(static_cast<int32_t>(id));
  }
  layers_.push_back(std::move(layer));
  return absl::OkStatus();
}

void SpecialFrame::Apply(std::vector<int32_t>* ids) const {
  for (const Layer& layer : layers_) {
    if (!layer.text) ids->clear();
    ids->insert(ids->begin(), layer.before.begin(), layer.before.end());
    ids->insert(ids->end(), layer.after.begin(), layer.after.end());
  }
}

}  // namespace ponder::data
