// ModelConfig to and from config.json.
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "moe/model_config.h"
#include "nlohmann/json.hpp"

namespace ponder::moe {
namespace {

using Json = nlohmann::ordered_json;

// Keys of Qwen3MoeConfig that change the arithmetic, with the only value that is implemented.
struct FixedKey {
  const char* key;
  Json value;
  const char* meaning;
};

const std::vector<FixedKey>& FixedKeys() {
  static const auto* keys = new std::vector<FixedKey>{
      {"hidden_act", "silu", "the activation of SwiGLU"},
      {"attention_bias", false, "biases in attention"},
      {"rope_scaling", nullptr, "RoPE scaling"},
      {"use_sliding_window", false, "sliding-window attention"},
      {"decoder_sparse_step", 1, "dense layers between MoE layers"},
  };
  return *keys;
}

// Reads one field after another; the first mistake is kept and the rest skipped.
class FieldReader {
 public:
  FieldReader(const Json& json, const std::string& path) : json_(json), path_(path) {}

  void Read(const char* key, int64_t* value, bool required = true) {
    const Json* field = Find(key, required);
    if (field == nullptr) return;
    if (!field->is_number_integer()) return Fail(key, "an integer");
    *value = field->get<int64_t>();
  }
  void Read(const char* key, double* value) {
    const Json* field = Find(key, /*required=*/true);
    if (field == nullptr) return;
    if (!field->is_number()) return Fail(key, "a number");
    *value = field->get<double>();
  }
  void Read(const char* key, bool* value) {
    const Json* field = Find(key, /*required=*/false);
    if (field == nullptr) return;
    if (!field->is_boolean()) return Fail(key, "true or false");
    *value = field->get<bool>();
  }
  void Read(const char* key, std::string* value) {
    const Json* field = Find(key, /*required=*/false);
    if (field == nullptr) return;
    if (!field->is_string()) return Fail(key, "a string");
    *value = field->get<std::string>();
  }
  // `mlp_only_layers` must be [0, 1, ..., n - 1].
  void ReadLeadingLayers(const char* key, int64_t* count) {
    const Json* field = Find(key, /*required=*/false);
    if (field == nullptr) return;
    if (!field->is_array()) return Fail(key, "a list of layers");
    for (size_t i = 0; i < field->size(); ++i) {
      const Json& layer = (*field)[i];
      if (!layer.is_number_unsigned() || layer.get<uint64_t>() != i) {
        return Fail(key, "the leading layers [0, 1, ...] in order");
      }
    }
    *count = static_cast<int64_t>(field->size());
  }
  void Expect(const FixedKey& fixed) {
    const Json* field = Find(fixed.key, /*required=*/false);
    if (field == nullptr || *field == fixed.value) return;
    status_ = absl::UnimplementedError(absl::StrCat(path_, ": ", fixed.key, " is ", field->dump(),
                                                    ", but ", fixed.meaning, " other than ",
                                                    fixed.value.dump(), " is not supported"));
  }

  const absl::Status& status() const { return status_; }

 private:
  const Json* Find(const char* key, bool required) {
    if (!status_.ok()) return nullptr;
    const auto field = json_.find(key);
    if (field != json_.end() && !(field->is_null() && !required)) return &*field;
    if (required)
      status_ = absl::InvalidArgumentError(absl::StrCat(path_, ": key ", key, " is missing"));
    return nullptr;
  }
  void Fail(const char* key, const char* expected) {
    status_ = absl::InvalidArgumentError(absl::StrCat(path_, ": ", key, " must be ", expected));
  }

  const Json& json_;
  const std::string& path_;
  absl::Status status_;
};

}  // namespace

std::string ModelConfig::ToJson() const {
  Json json;
  json["architectures"] = {"Qwen3MoeForCausalLM"};
  json["model_type"] = "qwen3_moe";
  json["torch_dtype"] = "float32";
  json["vocab_size"] = vocab_size;
  json["hidden_size"] = hidden_size;
  json["num_hidden_layers"] = num_hidden_layers;
  json["num_attention_heads"] = num_attention_heads;
  json["num_key_value_heads"] = num_key_value_heads;
  json["head_dim"] = head_dim;
  json["intermediate_size"] = intermediate_size;
  json["mlp_only_layers"] = Json::array();
  for (int64_t layer = 0; layer < first_k_dense_replace; ++layer)
    json["mlp_only_layers"].push_back(layer);
  json["num_experts"] = num_experts;
  json["num_experts_per_tok"] = num_experts_per_tok;
  json["moe_intermediate_size"] = moe_intermediate_size;
  json["shared_expert_intermediate_size"] = shared_expert_intermediate_size;
  json["scoring_func"] = scoring_func;
  json["norm_topk_prob"] = norm_topk_prob;
  json["use_qk_norm"] = use_qk_norm;
  json["tie_word_embeddings"] = tie_word_embeddings;
  json["rope_theta"] = rope_theta;
  json["rms_norm_eps"] = rms_norm_eps;
  json["max_position_embeddings"] = max_position_embeddings;
  json["initializer_range"] = initializer_range;
  json["eos_token_id"] = eos_token_id;
  for (const FixedKey& fixed : FixedKeys()) json[fixed.key] = fixed.value;
  return json.dump(2) + "\n";
}

absl::StatusOr<ModelConfig> ModelConfig::FromJson(const std::string& text,
                                                  const std::string& path) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is not a JSON object; is it a model's config.json?"));
  }
  ModelConfig config;
  int64_t eos_token_id = 0;
  FieldReader reader(json, path);
  reader.Read("vocab_size", &config.vocab_size);
  reader.Read("hidden_size", &config.hidden_size);
  reader.Read("num_hidden_layers", &config.num_hidden_layers);
  reader.Read("num_attention_heads", &config.num_attention_heads);
  reader.Read("num_key_value_heads", &config.num_key_value_heads);
  reader.Read("head_dim", &config.head_dim);
  reader.Read("intermediate_size", &config.intermediate_size);
  reader.ReadLeadingLayers("mlp_only_layers", &config.first_k_dense_replace);
  reader.Read("num_experts", &config.num_experts);
  reader.Read("num_experts_per_tok", &config.num_experts_per_tok);
  reader.Read("moe_intermediate_size", &config.moe_intermediate_size);
  reader.Read("shared_expert_intermediate_size", &config.shared_expert_intermediate_size,
              /*required=*/false);
  reader.Read("scoring_func", &config.scoring_func);
  reader.Read("norm_topk_prob", &config.norm_topk_prob);
  reader.Read("use_qk_norm", &config.use_qk_norm);
  reader.Read("tie_word_embeddings", &config.tie_word_embeddings);
  reader.Read("rope_theta", &config.rope_theta);
  reader.Read("rms_norm_eps", &config.rms_norm_eps);
  reader.Read("max_position_embeddings", &config.max_position_embeddings);
  reader.Read("initializer_range", &config.initializer_range);
  reader.Read("eos_token_id", &eos_token_id);
  for (const FixedKey& fixed : FixedKeys()) reader.Expect(fixed);
  PONDER_RETURN_IF_ERROR(reader.status());
  if (eos_token_id < 0 || eos_token_id > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": eos_token_id is out of range"));
  }
  config.eos_token_id = static_cast<int32_t>(eos_token_id);
  PONDER_RETURN_IF_ERROR(Annotate(config.Validate(), path));
  return config;
}

}  // namespace ponder::moe
