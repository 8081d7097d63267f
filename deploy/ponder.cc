// `ponder`: the dispatch table of the subcommands, nothing else.
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "deploy/commands.h"
#include "deploy/text_commands.h"

int main(int argc, char** argv) {
  CLI::App app("Ponder trains mixture-of-experts language models to think.");
  app.name("ponder");
  app.set_version_flag("--version", "ponder " PONDER_VERSION);
  app.require_subcommand(1);
  int exit_code = 0;
  ponder::deploy::RegisterConfigCommand(app, exit_code);
  ponder::deploy::RegisterDataCommand(app, exit_code);
  ponder::deploy::AddActorCommand(app, &exit_code);
  ponder::deploy::AddInitCommand(app, &exit_code);
  ponder::deploy::AddRunCommand(app, &exit_code);
  ponder::deploy::AddGenerateCommand(app, &exit_code);
  ponder::deploy::AddEvalCommand(app, &exit_code);
  ponder::deploy::AddExportCommand(app, &exit_code);
  ponder::deploy::AddServeCommand(app, &exit_code);
  ponder::deploy::AddTokenizeCommand(app, &exit_code);
  ponder::deploy::AddChatTemplateCommand(app, &exit_code);
  ponder::deploy::AddScoreCommand(app, &exit_code);
  ponder::deploy::AddCheckpointCommand(app, &exit_code);
  ponder::deploy::AddOfflineCommands(app, &exit_code);
  ponder::deploy::AddRejectCommand(app, &exit_code);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    std::string command = "ponder";
    for (const CLI::App* chosen : app.get_subcommands()) command += " " + chosen->get_name();
    std::string message = error.what();
    if (app.get_subcommands().empty() && argc > 1)
      message = absl::StrCat("unknown subcommand ", argv[1]);
    std::fprintf(stderr, "%s: %s; see `%s --help`\n", command.c_str(), message.c_str(),
                 command.c_str());
    return ponder::deploy::kExitBadUsage;
  }
  return exit_code;
}
