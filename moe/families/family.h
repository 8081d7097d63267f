// Family: how one Hugging Face architecture spells the decoder: its config keys with their defaults, and
// its tensors' names in files. A value; one file each. A new one is listed in family.cc.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "moe/families/config_reader.h"
#include "moe/model_config.h"

namespace ponder::moe {

struct Family {
  const char* architecture;  // in config.json's `architectures`
  const char* model_type;
  // Reads the keys beyond ConfigReader::ReadCommon's, which has been called for `config` made by
  // `defaults`.
  void (*read)(ConfigReader& reader, ModelConfig* config);
  // The config of an empty file: what the architecture's class has as defaults.
  ModelConfig (*defaults)();
  // The name in files of the decoder's tensor `name`; null: the same.
  std::string (*file_name)(const std::string& name);
};

// By architecture or model_type; null if there is none.
const Family* FindFamily(absl::string_view name);
// "LlamaForCausalLM, MixtralForCausalLM, ...", for messages.
std::string FamilyNames();
// The name in this config's files of the decoder's tensor `name`.
std::string FileNameOf(const ModelConfig& config, const std::string& name);
// Whether a file may hold the tensor `file_name` though the decoder has none such: rotary tables, a
// tied head, layers for multi-token prediction.
bool MayIgnore(const ModelConfig& config, absl::string_view file_name);
// Whether such a tensor still holds once the decoder's are trained: a copy of the tied head does not.
bool MayCarry(const ModelConfig& config, absl::string_view file_name);

extern const Family kLlama, kMixtral, kQwen2Moe, kQwen3, kQwen3Moe, kOlmoe, kDeepseekV2, kDeepseekV3;

// DeepSeek V2 and V3 alike: latent attention, leading dense layers, shared experts.
// `n_shared_experts` is the default.
void ReadDeepseek(ConfigReader& reader, int64_t n_shared_experts, ModelConfig* config);
std::string DeepseekFileName(const std::string& name);

}  // namespace ponder::moe
