// ModelConfig to and from config.json.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "moe/families/config_reader.h"
#include "moe/families/family.h"
#include "moe/model_config.h"
#include "nlohmann/json.hpp"

namespace ponder::moe {
namespace {

using Json = nlohmann::ordered_json;

// Beyond any real config.json, which has some kilobytes.
constexpr size_t kMaxConfigBytes = 4 << 20;

// The last key before byte `at` of broken JSON, to say where it breaks.
std::string KeyBefore(absl::string_view text, size_t at) {
  const size_t colon = text.substr(0, at).rfind(':');
  if (colon == absl::string_view::npos || colon == 0) return "";
  const size_t close = text.rfind('"', colon - 1);
  if (close == absl::string_view::npos || close == 0) return "";
  const size_t open = text.rfind('"', close - 1);
  if (open == absl::string_view::npos || close - open > 100) return "";
  return absl::StrCat(" (near key ", text.substr(open + 1, close - open - 1), ")");
}

absl::StatusOr<Json> ParseObject(const std::string& text, const std::string& path) {
  if (text.size() > kMaxConfigBytes) {
    return absl::InvalidArgumentError(absl::StrCat(path, " has ", text.size(), " bytes, more than ",
                                                   kMaxConfigBytes,
                                                   "; is it a model's config.json?"));
  }
  try {
    Json json = Json::parse(text);
    if (json.is_object()) return json;
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is not a JSON object; is it a model's config.json?"));
  } catch (const Json::parse_error& error) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is not JSON: wrong at byte ", error.byte,
                                                   KeyBefore(text, error.byte)));
  } catch (const Json::exception& error) {  // a number beyond a double, which is quoted
    const std::vector<std::string> parts = absl::StrSplit(error.what(), '\'');
    const size_t at = parts.size() > 1 ? text.find(parts[1]) : std::string::npos;
    return absl::InvalidArgumentError(absl::StrCat(path, " holds a number that is out of range",
                                                   at < text.size() ? KeyBefore(text, at) : ""));
  }
}

constexpr absl::string_view kPolicyHead = "ForCausalLM";
constexpr absl::string_view kScalarHead = "ForSequenceClassification";

// Qwen3MoeForCausalLM -> Qwen3MoeForSequenceClassification.
std::string WithHead(absl::string_view architecture, absl::string_view head) {
  absl::string_view stem = architecture;
  if (!absl::ConsumeSuffix(&stem, kPolicyHead)) absl::ConsumeSuffix(&stem, kScalarHead);
  return absl::StrCat(stem, head);
}

// `scalar_head`: the architecture says so.
absl::StatusOr<const Family*> FamilyOf(const Json& json, const std::string& path,
                                       bool* scalar_head) {
  std::string name;
  const auto architectures = json.find("architectures");
  if (architectures != json.end() && architectures->is_array() && !architectures->empty() &&
      architectures->front().is_string()) {
    name = architectures->front().get<std::string>();
  } else if (json.contains("model_type") && json["model_type"].is_string()) {
    name = json["model_type"].get<std::string>();
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": neither architectures nor model_type names a model"));
  }
  *scalar_head = absl::EndsWith(name, kScalarHead);
  const Family* family = FindFamily(*scalar_head ? WithHead(name, kPolicyHead) : name);
  if (family != nullptr) return family;
  return absl::UnimplementedError(absl::StrCat(path, ": architectures is ", name.substr(0, 80),
                                               "; supported are ", FamilyNames()));
}

// What a model in memory is: float32, not quantised.
std::string AsFloat32(Json json) {
  const bool modern = json.contains("dtype");
  if (modern) json["dtype"] = "float32";
  if (!modern || json.contains("torch_dtype")) json["torch_dtype"] = "float32";
  json.erase("quantization_config");
  return json.dump(2) + "\n";
}

}  // namespace

std::string ModelConfig::ToJson() const {
  const std::string class_name = WithHead(architecture, scalar_head ? kScalarHead : kPolicyHead);
  Json json;
  if (!source_json.empty()) {
    json = Json::parse(source_json);
    const Json named = json.value("architectures", Json());
    const bool same = named.is_array() && !named.empty() ? named.front() == class_name
                                                         : !scalar_head;
    if (same) return source_json;
    json["architectures"] = {class_name};
    if (scalar_head) json["id2label"] = {{"0", "LABEL_0"}};  // one output
    return json.dump(2) + "\n";
  }
  json["architectures"] = {class_name};
  json["model_type"] = FindFamily(architecture)->model_type;
  json["torch_dtype"] = "float32";
  json["vocab_size"] = vocab_size;
  json["hidden_size"] = hidden_size;
  json["num_hidden_layers"] = num_hidden_layers;
  json["num_attention_heads"] = num_attention_heads;
  json["num_key_value_heads"] = num_key_value_heads;
  json["head_dim"] = head_dim;
  json["intermediate_size"] = intermediate_size;
  json["mlp_only_layers"] = Json::array();
  for (int64_t layer = 0; layer < num_hidden_layers; ++layer) {
    if (num_experts > 0 && !IsMoeLayer(layer)) json["mlp_only_layers"].push_back(layer);
  }
  json["num_experts"] = num_experts;
  json["num_experts_per_tok"] = num_experts_per_tok;
  json["moe_intermediate_size"] = moe_intermediate_size;
  json["shared_expert_intermediate_size"] = shared_expert_intermediate_size;
  json["scoring_func"] = scoring_func;
  json["norm_topk_prob"] = norm_topk_prob;
  json["use_qk_norm"] = qk_norm != QkNorm::kNone;
  json["tie_word_embeddings"] = tie_word_embeddings;
  json["rope_theta"] = rope_theta;
  json["rms_norm_eps"] = rms_norm_eps;
  json["max_position_embeddings"] = max_position_embeddings;
  json["initializer_range"] = initializer_range;
  json["eos_token_id"] = eos_token_id;
  json["hidden_act"] = "silu";
  json["attention_bias"] = attention_bias;
  json["rope_scaling"] = nullptr;
  json["use_sliding_window"] = false;
  json["decoder_sparse_step"] = 1;
  if (scalar_head) json["id2label"] = {{"0", "LABEL_0"}};  // one output
  if (IsMla()) json["kv_lora_rank"] = kv_lora_rank;  // which this family's reader refuses
  return json.dump(2) + "\n";
}

absl::StatusOr<ModelConfig> ModelConfig::FromJson(const std::string& text,
                                                  const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const Json json, ParseObject(text, path));
  bool scalar_head = false;
  PONDER_ASSIGN_OR_RETURN(const Family* family, FamilyOf(json, path, &scalar_head));
  ModelConfig config = family->defaults();
  config.scalar_head = scalar_head;
  config.architecture = family->architecture;
  ConfigReader reader(json, path);
  reader.ReadCommon(&config);
  family->read(reader, &config);
  PONDER_RETURN_IF_ERROR(reader.status());
  PONDER_RETURN_IF_ERROR(Annotate(config.Validate(), path));
  config.source_json = AsFloat32(json);
  return config;
}

}  // namespace ponder::moe
