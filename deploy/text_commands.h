// The subcommands of `ponder` that show how a model's folder makes tokens of text; see
// deploy/commands.h.
#pragma once

#include "CLI/CLI.hpp"

namespace ponder::deploy {

void AddTokenizeCommand(CLI::App& app, int* exit_code);
void AddChatTemplateCommand(CLI::App& app, int* exit_code);

}  // namespace ponder::deploy
