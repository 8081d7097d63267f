#include "moe/families/family.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace ponder::moe {
namespace {

constexpr const Family* kFamilies[] = {&kLlama,    &kMixtral, &kQwen2Moe,   &kQwen3,
                                       &kQwen3Moe, &kOlmoe,   &kDeepseekV2, &kDeepseekV3};

}  // namespace

const Family* FindFamily(absl::string_view name) {
  for (const Family* family : kFamilies) {
    if (name == family->architecture || name == family->model_type) return family;
  }
  return nullptr;
}

std::string FamilyNames() {
  std::string names;
  for (const Family* family : kFamilies) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", family->architecture);
  }
  return names;
}

std::string FileNameOf(const ModelConfig& config, const std::string& name) {
  const Family* family = FindFamily(config.architecture);
  PONDER_CHECK(family != nullptr, "architecture ", config.architecture);
  return family->file_name == nullptr ? name : family->file_name(name);
}

bool MayIgnore(const ModelConfig& config, absl::string_view file_name) {
  if (config.tie_word_embeddings && file_name == "lm_head.weight") return true;
  return MayCarry(config, file_name);
}

bool MayCarry(const ModelConfig& config, absl::string_view file_name) {
  if (absl::EndsWith(file_name, ".rotary_emb.inv_freq")) return true;
  constexpr absl::string_view kLayers = "model.layers.";
  if (!absl::StartsWith(file_name, kLayers)) return false;
  const absl::string_view rest = file_name.substr(kLayers.size());
  int64_t layer = 0;
  return absl::SimpleAtoi(rest.substr(0, rest.find('.')), &layer) &&
         layer >= config.num_hidden_layers;
}

}  // namespace ponder::moe
