#include "moe/checkpoint.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "moe/checked_folder.h"

namespace ponder::moe {
namespace {

constexpr char kConfigFile[] = "config.json";
constexpr char kWeightsFile[] = "model.safetensors";

}  // namespace

FolderFiles ModelFiles(const Model& model) {
  return {{kConfigFile, model.config.ToJson()}, {kWeightsFile, SafetensorsBytes(*model.weights)}};
}

absl::Status SaveModel(const std::string& folder, const Model& model) {
  return WriteCheckedFolder(folder, ModelFiles(model));
}

absl::StatusOr<Model> LoadModel(const std::string& folder) {
  const std::string weights_path = absl::StrCat(folder, "/", kWeightsFile);
  PONDER_ASSIGN_OR_RETURN(const FolderChecksums checksums, FolderChecksums::Read(folder));
  Model model;
  PONDER_ASSIGN_OR_RETURN(const std::string config, checksums.ReadFile(kConfigFile));
  PONDER_ASSIGN_OR_RETURN(model.config,
                          ModelConfig::FromJson(config, absl::StrCat(folder, "/", kConfigFile)));
  PONDER_ASSIGN_OR_RETURN(std::string bytes, checksums.ReadFile(kWeightsFile));
  PONDER_ASSIGN_OR_RETURN(model.weights, ParseSafetensors(std::move(bytes), weights_path));
  PONDER_RETURN_IF_ERROR(Annotate(model.weights->MatchesConfig(model.config), weights_path));
  // The rest of the folder, such as an optimizer's state, is its owner's to read, but damage is
  // told here and now.
  for (const auto& [name, crc] : checksums.crc32()) {
    if (name != kConfigFile && name != kWeightsFile)
      PONDER_RETURN_IF_ERROR(checksums.ReadFile(name).status());
  }
  return model;
}

}  // namespace ponder::moe
