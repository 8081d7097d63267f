// `ponder run`: all processes of a run on one machine, started, watched and stopped; stage after
// stage, each resumable.
//
//   data -> random model -> evaluate -> SFT -> evaluate -> RL (learner, actors, verifier) ->
//   evaluate -> summary
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "deploy/commands.h"
#include "deploy/run.h"
#include "deploy/stop_signal.h"

namespace ponder::deploy {

void AddRunCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command =
      app.add_subcommand("run", "train on this machine: starts and watches every process");
  auto* config =
      command->add_option("--config", options->config, "YAML config, e.g. configs/quickstart.yaml");
  command->add_option("--out", options->out, "folder for the run; must be new or empty");
  command
      ->add_option("--set", options->overrides,
                   "override one field, e.g. --set rl.steps=10; may be repeated")
      ->excludes(
          command->add_option("--resume", options->resume, "go on with the run in this folder")
              ->excludes(config));
  command->add_option("--model", options->model,
                      "folder of a model to start from, instead of a random one and SFT");
  command->callback([options, exit_code] { *exit_code = ReportStatus("run", Run(*options)); });
}

}  // namespace ponder::deploy
