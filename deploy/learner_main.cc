// `ponder-learner`: the stages that update weights, each an MPI job of learner.ranks processes. It
// is a binary of its own, as only it links LibTorch; `ponder run` starts it.
//
//   ponder-learner sft --config F --run RUN --model DIR --out DIR [--data F] [--resume]
//   ponder-learner dpo --config F --run RUN --model DIR --out DIR --data F [--beta B] [--resume]
//   ponder-learner rm  --config F --run RUN --model DIR --out DIR --data F [--resume]
//   ponder-learner rl  --config F --run RUN --model DIR --out DIR --port-file F [--resume]
#include <cstdio>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "deploy/learner_stages.h"
#include "deploy/stop_signal.h"
#include "proto/config.h"

namespace {

// Exit codes: 0 done or stopped on request, 1 failed, 2 bad usage or config.
int Report(const absl::Status& status) {
  if (status.ok()) return 0;
  if (absl::IsCancelled(status)) {
    PONDER_LOG(kInfo, status.message());
    return 0;
  }
  PONDER_LOG(kError, status.message());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  ponder::deploy::BlockStopSignals();
  CLI::App app("Updates weights: one stage of a run.");
  app.require_subcommand(1);
  ponder::deploy::StageArguments arguments;
  std::string config_path;
  const auto add = [&](const char* name, const char* what) {
    CLI::App* stage = app.add_subcommand(name, what);
    stage->add_option("--config", config_path, "resolved YAML config")->required();
    stage->add_option("--run", arguments.run, "folder of the run")->required();
    stage->add_option("--model", arguments.model, "folder of the model to start from")->required();
    stage->add_option("--out", arguments.out, "folder for the trained model")->required();
    stage->add_flag("--resume", arguments.resume, "go on from the newest checkpoint of this stage");
    return stage;
  };
  CLI::App* sft = add("sft", "supervised fine-tuning on --data, or on RUN/data/sft.jsonl");
  sft->add_option("--data", arguments.data, "JSON or JSONL of dialogues");
  CLI::App* dpo = add("dpo", "direct preference optimisation");
  dpo->add_option("--data", arguments.data, "JSON or JSONL of preferences")->required();
  dpo->add_option("--beta", arguments.beta, "how close to stay to --model");
  CLI::App* rm = add("rm", "training of a reward model");
  rm->add_option("--data", arguments.data, "JSON or JSONL of preferences")->required();
  CLI::App* rl =
      add("rl", "reinforcement learning on RUN/data/train.jsonl; serves prompts and weights");
  rl->add_option("--port-file", arguments.port_file, "written with the address once serving")
      ->required();
  CLI11_PARSE(app, argc, argv);

  ponder::SetLogName("learner");
  const auto config = ponder::LoadConfig(config_path, {});
  if (!config.ok()) return Report(config.status());
  arguments.config = *config;
  if (sft->parsed()) return Report(ponder::deploy::RunSft(arguments));
  if (rl->parsed()) return Report(ponder::deploy::RunRl(arguments));
  return Report(ponder::deploy::RunPreference(arguments, dpo->parsed()));
}
