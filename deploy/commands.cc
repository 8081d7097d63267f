#include "deploy/commands.h"

#include <cstdio>
#include <string>
#include <tuple>
#include <utility>

namespace ponder::deploy {

int ReportStatus(const char* command, const absl::Status& status) {
  if (status.ok()) return 0;
  const std::string message(status.message());
  std::fprintf(stderr, "ponder %s: %s\n", command, message.c_str());
  const bool usage = absl::IsInvalidArgument(status) || absl::IsOutOfRange(status);
  return usage ? kExitBadUsage : kExitFailure;
}

void AddTextOptions(CLI::App* command, data::ModelTextOptions* options) {
  command->add_option("--chat-template", options->chat_template,
                      "Jinja file to use instead of the model's own template");
  command->add_option_function<std::pair<std::string, std::string>>(
      "--think-tags",
      [options](const std::pair<std::string, std::string>& tags) {
        std::tie(options->think_open, options->think_close) = tags;
      },
      "what the model writes around a thought, if not <think> </think>");
}

}  // namespace ponder::deploy
