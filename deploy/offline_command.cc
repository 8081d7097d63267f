// `ponder sft`, `ponder dpo`, `ponder rm`: one offline stage on a data file, in a folder of its
// own. Each prepares the folder and becomes ponder-learner.
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "deploy/commands.h"
#include "deploy/run_folder.h"
#include "proto/config.h"

namespace ponder::deploy {
namespace {

namespace fs = std::filesystem;

struct OfflineOptions {
  std::string stage;  // sft, dpo or rm
  std::string config;
  std::vector<std::string> overrides;
  std::string model;
  std::string data;
  std::string out;
  double beta = 0.1;
  bool resume = false;
};

absl::StatusOr<std::string> LearnerProgram() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const fs::path program = self.parent_path() / "ponder-learner";
  if (error || !fs::exists(program, error)) {
    return absl::NotFoundError(
        absl::StrCat(program.string(), " is missing; build it with `make build`"));
  }
  return program.string();
}

// The config and the folder of a new stage, or of the one to go on with.
absl::Status RunOffline(const OfflineOptions& options) {
  RunFolder folder;
  v1::Config config;
  if (options.resume) {
    PONDER_ASSIGN_OR_RETURN(folder, OpenRunFolder(options.out));
    PONDER_ASSIGN_OR_RETURN(config, LoadConfig(folder.config(), {}));
  } else {
    PONDER_ASSIGN_OR_RETURN(config, LoadConfig(options.config, options.overrides));
    PONDER_ASSIGN_OR_RETURN(folder, NewRunFolder(options.out));
    PONDER_RETURN_IF_ERROR(WriteFileAtomic(folder.config(), PrintConfig(config)));
  }
  PONDER_ASSIGN_OR_RETURN(const std::string program, LearnerProgram());
  std::vector<std::string> command;
  if (config.learner().ranks() > 1) {
    command = {"mpirun", "-n", absl::StrCat(config.learner().ranks()), "--oversubscribe"};
    if (getuid() == 0) command.push_back("--allow-run-as-root");
  }
  command.insert(command.end(), {program, options.stage, "--config", folder.config(), "--run",
                                 folder.root, "--model", options.model, "--out",
                                 folder.model("final"), "--data", options.data});
  if (options.stage == "dpo") command.insert(command.end(), {"--beta", absl::StrCat(options.beta)});
  if (options.resume) command.push_back("--resume");
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  return ErrnoStatus(errno, absl::StrCat("can't start ", command[0]));
}

void Add(CLI::App& app, int* exit_code, const char* stage, const char* what, const char* data) {
  auto options = std::make_shared<OfflineOptions>();
  options->stage = stage;
  CLI::App* command = app.add_subcommand(stage, what);
  command->add_option("--model", options->model, "folder of the model to start from")->required();
  command->add_option("--data", options->data, data)->required();
  command->add_option("--out", options->out, "new folder: the model goes to OUT/models/final")
      ->required();
  command->add_option("--config", options->config,
                      "YAML config; its sections sft and learner count");
  command->add_option("--set", options->overrides, "override one field, e.g. --set sft.steps=50")
      ->allow_extra_args(false);
  if (options->stage == "dpo") {
    command->add_option("--beta", options->beta, "of DPO: how close to stay to the start")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
  }
  command->add_flag("--resume", options->resume, "go on with the stage in OUT");
  command->callback([options, exit_code] {
    *exit_code = ReportStatus(options->stage.c_str(), RunOffline(*options));
  });
}

}  // namespace

void AddOfflineCommands(CLI::App& app, int* exit_code) {
  Add(app, exit_code, "sft", "fine-tune a model on dialogues",
      "JSON or JSONL: messages, or Alpaca's instruction, input, output");
  Add(app, exit_code, "dpo", "fine-tune a model on preferences (direct preference optimisation)",
      "JSON or JSONL: prompt, chosen, rejected, margin");
  Add(app, exit_code, "rm", "train a Bradley-Terry reward model on preferences",
      "JSON or JSONL: prompt, chosen, rejected, margin");
}

}  // namespace ponder::deploy
