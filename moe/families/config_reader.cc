#include "moe/families/config_reader.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace ponder::moe {
namespace {

using Json = nlohmann::ordered_json;

// Arithmetic of other architectures; null and absent are fine too.
constexpr struct {
  const char* key;
  const char* neutral;
} kForeignKeys[] = {
    {"partial_rotary_factor", "1"},
    {"logit_scale", "1"},
    {"logits_scaling", "1"},
    {"embedding_multiplier", "1"},
    {"residual_multiplier", "1"},
    {"attention_multiplier", "null"},
    {"query_pre_attn_scalar", "null"},
    {"attn_logit_softcapping", "null"},
    {"final_logit_softcapping", "null"},
    {"scale_emb", "1"},
    {"use_parallel_residual", "false"},
    {"alibi", "false"},
    {"no_rope_layers", "null"},
    {"no_rope_layer_interval", "null"},
    {"attention_chunk_size", "null"},
    {"attn_temperature_tuning", "false"},
    {"rope_local_base_freq", "null"},
    {"swiglu_limit", "null"},
    {"index_topk", "null"},
    {"layernorm_type", "null"},
};

}  // namespace

const Json* ConfigReader::Find(const char* key) {
  if (!status_.ok()) return nullptr;
  const auto field = json_.find(key);
  return field == json_.end() || field->is_null() ? nullptr : &*field;
}

void ConfigReader::Fail(const char* key, const std::string& what) {
  if (status_.ok()) status_ = absl::InvalidArgumentError(absl::StrCat(path_, ": ", key, " ", what));
}

void ConfigReader::Read(const char* key, int64_t* value) {
  const Json* field = Find(key);
  if (field == nullptr) return;
  if (!field->is_number_integer()) return Fail(key, "must be an integer");
  *value = field->get<int64_t>();
}

void ConfigReader::Read(const char* key, double* value) {
  const Json* field = Find(key);
  if (field == nullptr) return;
  if (!field->is_number()) return Fail(key, "must be a number");
  *value = field->get<double>();
}

void ConfigReader::Read(const char* key, bool* value) {
  const Json* field = Find(key);
  if (field == nullptr) return;
  if (!field->is_boolean()) return Fail(key, "must be true or false");
  *value = field->get<bool>();
}

void ConfigReader::Read(const char* key, std::string* value) {
  const Json* field = Find(key);
  if (field == nullptr) return;
  if (!field->is_string()) return Fail(key, "must be a string");
  *value = field->get<std::string>();
}

void ConfigReader::Read(const char* key, std::vector<int64_t>* value) {
  const Json* field = Find(key);
  if (field == nullptr) return;
  value->clear();
  if (!field->is_array()) return Fail(key, "must be a list of integers");
  for (const Json& element : *field) {
    if (!element.is_number_integer()) return Fail(key, "must be a list of integers");
    value->push_back(element.get<int64_t>());
  }
}

bool ConfigReader::IsNull(const char* key) const {
  const auto field = json_.find(key);
  return field != json_.end() && field->is_null();
}

void ConfigReader::Require(const char* key, int64_t* value) {
  if (status_.ok() && Find(key) == nullptr) {
    status_ = absl::InvalidArgumentError(absl::StrCat(path_, ": key ", key, " is missing"));
  }
  Read(key, value);
}

void ConfigReader::Only(const char* key, const char* neutral) {
  const Json* field = Find(key);
  if (field == nullptr || *field == Json::parse(neutral)) return;
  status_ = absl::UnimplementedError(
      absl::StrCat(path_, ": ", key, " is ", field->dump().substr(0, 80),
                   ", but this architecture is supported with ", neutral, " only"));
}

void ConfigReader::ReadCommon(ModelConfig* config) {
  Require("vocab_size", &config->vocab_size);
  Require("hidden_size", &config->hidden_size);
  Require("num_hidden_layers", &config->num_hidden_layers);
  Require("num_attention_heads", &config->num_attention_heads);
  Read("intermediate_size", &config->intermediate_size);
  Read("max_position_embeddings", &config->max_position_embeddings);
  Read("rms_norm_eps", &config->rms_norm_eps);
  Read("initializer_range", &config->initializer_range);
  Read("tie_word_embeddings", &config->tie_word_embeddings);
  std::string activation;
  Read("hidden_act", &activation);
  if (activation != "swish") Only("hidden_act", "\"silu\"");  // two names of one function
  for (const auto& foreign : kForeignKeys) Only(foreign.key, foreign.neutral);
  ReadEos(config);
  ReadRope(config);
  ReadQuantization(config);
}

void ConfigReader::ReadQuantization(ModelConfig* config) {
  const Json* quantization = Find("quantization_config");
  if (quantization == nullptr) return;
  if (!quantization->is_object() || quantization->value("quant_method", Json()) != "fp8" ||
      quantization->value("fmt", Json("e4m3")) != "e4m3") {
    status_ = absl::UnimplementedError(
        absl::StrCat(path_, ": quantization_config is ", quantization->dump().substr(0, 80),
                     ", but only fp8 (e4m3 with block scales) can be read"));
    return;
  }
  const std::string prefix = absl::StrCat(path_, ": quantization_config");
  ConfigReader reader(*quantization, prefix);
  std::vector<int64_t> block = {config->fp8_block_rows, config->fp8_block_columns};
  reader.Read("weight_block_size", &block);
  constexpr int64_t kMaxBlock = 1 << 20;
  if (block.size() != 2 || block[0] < 1 || block[1] < 1 || block[0] > kMaxBlock ||
      block[1] > kMaxBlock) {
    reader.Fail("weight_block_size", "must be two sizes");
  } else {
    config->fp8_block_rows = block[0];
    config->fp8_block_columns = block[1];
  }
  status_ = reader.status();
}

void ConfigReader::ReadHeads(ModelConfig* config) {
  for (const char* key : {"kv_lora_rank", "q_lora_rank", "qk_rope_head_dim"}) Only(key, "null");
  if (config->num_key_value_heads == 0 || IsNull("num_key_value_heads"))
    config->num_key_value_heads = config->num_attention_heads;
  Read("num_key_value_heads", &config->num_key_value_heads);
  if (config->head_dim == 0 && config->num_attention_heads > 0) {
    config->head_dim = config->hidden_size / config->num_attention_heads;
  }
  Read("head_dim", &config->head_dim);
}

void ConfigReader::ReadSlidingWindow(ModelConfig* config) {
  int64_t window = 0;
  Read("sliding_window", &window);
  if (window < 0) return Fail("sliding_window", "must be at least 1");
  if (window > 0) config->LimitPositions(window);
}

void ConfigReader::ReadEos(ModelConfig* config) {
  const Json* field = Find("eos_token_id");
  if (field == nullptr) return;
  const Json list = field->is_array() ? *field : Json::array({*field});
  config->eos_token_id = -1;
  config->more_eos_token_ids.clear();
  for (const Json& element : list) {
    if (!element.is_number_integer()) {
      return Fail("eos_token_id", "must be an integer or a list of integers");
    }
    const int64_t id = element.get<int64_t>();
    if (id < 0 || id > std::numeric_limits<int32_t>::max()) {
      return Fail("eos_token_id", "is out of range");
    }
    if (config->eos_token_id < 0) {
      config->eos_token_id = static_cast<int32_t>(id);
    } else {
      config->more_eos_token_ids.push_back(static_cast<int32_t>(id));
    }
  }
}

void ConfigReader::ReadRope(ModelConfig* config) {
  Read("rope_theta", &config->rope_theta);
  // Configs of transformers 5 have rope_parameters, older ones rope_scaling.
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const Json* scaling = Find(key);
    if (scaling == nullptr) continue;
    if (!scaling->is_object()) return Fail(key, "must be an object");
    ReadRopeScaling(key, *scaling, config);
  }
}

void ConfigReader::ReadRopeScaling(const char* key, const Json& json, ModelConfig* config) {
  const std::string prefix = absl::StrCat(path_, ": ", key);
  ConfigReader reader(json, prefix);
  for (const auto& [name, value] : json.items()) {  // one set for each kind of layer
    if (value.is_object()) reader.Fail(name.c_str(), "must not be an object");
  }
  RopeScaling& scaling = config->rope_scaling;
  std::string type = "default";
  reader.Read("type", &type);
  reader.Read("rope_type", &type);
  reader.Read("rope_theta", &config->rope_theta);
  reader.Only("partial_rotary_factor", "1");
  reader.Only("mrope_section", "null");
  using Type = RopeScaling::Type;
  if (type == "default") {
    scaling.type = Type::kNone;
  } else if (type == "linear") {
    scaling.type = Type::kLinear;
  } else if (type == "dynamic") {
    scaling.type = Type::kDynamic;
  } else if (type == "llama3") {
    scaling.type = Type::kLlama3;
  } else if (type == "yarn") {
    scaling.type = Type::kYarn;
  } else if (status_.ok()) {
    status_ = absl::UnimplementedError(absl::StrCat(
        prefix, " is of type ", type, "; supported are default, linear, dynamic, llama3, yarn"));
  }
  if (scaling.type != Type::kNone && reader.Find("factor") == nullptr)
    reader.Fail("factor", "is missing");
  reader.Read("factor", &scaling.factor);
  reader.Read("original_max_position_embeddings", &scaling.original_max_position_embeddings);
  reader.Read("low_freq_factor", &scaling.low_freq_factor);
  reader.Read("high_freq_factor", &scaling.high_freq_factor);
  reader.Read("beta_fast", &scaling.beta_fast);
  reader.Read("beta_slow", &scaling.beta_slow);
  reader.Read("mscale", &scaling.mscale);
  reader.Read("mscale_all_dim", &scaling.mscale_all_dim);
  reader.Read("attention_factor", &scaling.attention_factor);
  reader.Read("truncate", &scaling.truncate);
  if (status_.ok()) status_ = reader.status();
}

}  // namespace ponder::moe
