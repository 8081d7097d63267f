// `ponder init`: writes a random model of the shape that a config's `model` section gives.
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "deploy/commands.h"
#include "deploy/model_shape.h"
#include "moe/checkpoint.h"
#include "proto/config.h"

namespace ponder::deploy {
namespace {

struct InitOptions {
  std::string config;
  std::string out;
  std::vector<std::string> overrides;
  std::optional<uint64_t> seed;
};

absl::Status RunInit(const InitOptions& options) {
  PONDER_ASSIGN_OR_RETURN(const v1::Config config, LoadConfig(options.config, options.overrides));
  const moe::ModelConfig model_config = ModelConfigOf(config.model());
  PONDER_RETURN_IF_ERROR(Annotate(model_config.Validate(), "config section model"));
  const uint64_t seed = options.seed.value_or(config.seed());
  PONDER_RETURN_IF_ERROR(
      moe::SaveModel(options.out, {model_config, moe::InitWeights(model_config, seed)}));
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
