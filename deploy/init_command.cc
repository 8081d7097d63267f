// `ponder init`: writes a random model, of the shape that a config's `model` section gives or of
// that of another model.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/status.h"
#include "deploy/commands.h"
#include "deploy/model_folder.h"
#include "deploy/model_shape.h"
#include "moe/checkpoint.h"
#include "proto/config.h"

namespace ponder::deploy {
namespace {

struct InitOptions {
  std::string config;
  std::string out;
  std::string like;       // folder or config.json of a model of the same shape
  std::string tokenizer;  // folder whose text files are copied
  std::vector<std::string> overrides;
  std::optional<uint64_t> seed;
};

absl::Status RunInit(const InitOptions& options) {
  PONDER_ASSIGN_OR_RETURN(const v1::Config config, LoadConfig(options.config, options.overrides));
  moe::ModelConfig model_config = ModelConfigOf(config.model());
  if (options.like.empty()) {
    PONDER_RETURN_IF_ERROR(Annotate(model_config.Validate(), "config section model"));
  } else {
    const bool is_folder = std::filesystem::is_directory(options.like);
    const std::string path = is_folder ? options.like + "/config.json" : options.like;
    PONDER_ASSIGN_OR_RETURN(const std::string json, ReadFile(path));
    PONDER_ASSIGN_OR_RETURN(model_config, moe::ModelConfig::FromJson(json, path));
  }
  moe::Carried carried;
  if (!options.tokenizer.empty()) {
    PONDER_RETURN_IF_ERROR(OpenText(options.tokenizer, model_config, {}).status());
    PONDER_ASSIGN_OR_RETURN(carried.files, TextFiles(options.tokenizer, {}));
  }
  const uint64_t seed = options.seed.value_or(config.seed());
  PONDER_RETURN_IF_ERROR(moe::WriteCheckedFolder(
      options.out, moe::ModelFiles({model_config, moe::InitWeights(model_config, seed)}, carried)));
  const moe::ParameterCount count = moe::CountParameters(model_config);
  std::printf("%s: %lld parameters, %lld active, seed %llu\n", options.out.c_str(),
              static_cast<long long>(count.total), static_cast<long long>(count.active),
              static_cast<unsigned long long>(seed));
  return absl::OkStatus();
}

}  // namespace

void AddInitCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<InitOptions>();
  CLI::App* command = app.add_subcommand("init", "write a random model");
  command->add_option("--config", options->config,
                      "YAML config; its model section gives the shape; without it, defaults");
  command->add_option("--like", options->like,
                      "a model's folder, or its config.json: of that shape and family instead");
  command->add_option("--tokenizer", options->tokenizer,
                      "folder whose tokenizer and chat template the model gets");
  command
      ->add_option("--out", options->out, "folder for the model; an older model there is replaced")
      ->required();
  command
      ->add_option("--set", options->overrides,
                   "override one field, e.g. --set model.num_experts=16; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--seed", options->seed, "of the weights; without it, the config's seed");
  command->callback([options, exit_code] { *exit_code = ReportStatus("init", RunInit(*options)); });
}

}  // namespace ponder::deploy
