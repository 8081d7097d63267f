// `ponder config`: checks a config and prints it resolved, every default filled in.
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/status.h"
#include "deploy/commands.h"
#include "proto/config.h"

namespace ponder::deploy {
namespace {

struct ConfigOptions {
  std::string path;
  std::vector<std::string> overrides;
  bool print = false;
};

absl::Status RunConfig(const ConfigOptions& options) {
  PONDER_ASSIGN_OR_RETURN(const v1::Config config, LoadConfig(options.path, options.overrides));
  if (options.print) {
    std::fputs(PrintConfig(config).c_str(), stdout);
  } else {
    std::printf("%s: ok\n", options.path.empty() ? "defaults" : options.path.c_str());
  }
  if (std::fflush(stdout) != 0) return ErrnoStatus(errno, "can't write to stdout");
  return absl::OkStatus();
}

}  // namespace

void RegisterConfigCommand(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ConfigOptions>();
  CLI::App* command =
      app.add_subcommand("config", "Check a config; print it with every default filled in");
  command->add_option("FILE", options->path, "YAML file; without one, the defaults");
  command
      ->add_option("--set", options->overrides,
                   "key=value, such as learner.optimizer.lr=1e-4; may be repeated")
      ->allow_extra_args(false);
  command->add_flag("--print", options->print, "print the resolved config");
  command->callback(
      [options, &exit_code] { exit_code = ReportStatus("config", RunConfig(*options)); });
}

}  // namespace ponder::deploy
