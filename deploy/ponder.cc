// `ponder`: the dispatch table of the subcommands, nothing else.
#include <cstdio>

#include "deploy/commands.h"

int main(int argc, char** argv) {
  CLI::App app("Ponder trains mixture-of-experts language models to think.");
  app.name("ponder");
  app.set_version_flag("--version", "ponder " PONDER_VERSION);
  app.require_subcommand(1);
  int exit_code = 0;
  ponder::deploy::RegisterConfigCommand(app, exit_code);
  ponder::deploy::RegisterDataCommand(app, exit_code);
  ponder::deploy::AddInitCommand(app, &exit_code);
  ponder::deploy::AddGenerateCommand(app, &exit_code);
  ponder::deploy::AddEvalCommand(app, &exit_code);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version);
  } catch (const CLI::RequiredError& error) {
    // No subcommand, an unknown one, or a subcommand without an option that it needs.
    const bool unknown = app.get_subcommands().empty() && argc > 1;
    std::fprintf(stderr, "ponder: %s%s; see `ponder --help`\n",
                 unknown ? "unknown subcommand " : error.what(), unknown ? argv[1] : "");
    return ponder::deploy::kExitBadUsage;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "ponder: %s; see `ponder --help`\n", error.what());
    return ponder::deploy::kExitBadUsage;
  }
  return exit_code;
}
