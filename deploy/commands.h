// The subcommands of `ponder`, one file each. A registration function adds its subcommand to `app`;
// when the user picks it, it runs, says on stderr in one line what went wrong, if anything, and
// leaves its exit code in `exit_code`.
#pragma once

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "data/model_text.h"

namespace ponder::deploy {

constexpr int kExitFailure = 1;   // the world's fault: a missing file, a full disk, a dead peer
constexpr int kExitBadUsage = 2;  // the caller's: wrong arguments or a wrong config

// 0 if OK; else prints "ponder <command>: <message>" on stderr and returns the exit code:
// kExitBadUsage for InvalidArgument and OutOfRange, kExitFailure for the rest.
int ReportStatus(const char* command, const absl::Status& status);

// --chat-template and --think-tags.
void AddTextOptions(CLI::App* command, data::ModelTextOptions* options);

void AddActorCommand(CLI::App& app, int* exit_code);
void AddCheckpointCommand(CLI::App& app, int* exit_code);
void AddEvalCommand(CLI::App& app, int* exit_code);
void AddExportCommand(CLI::App& app, int* exit_code);
void AddGenerateCommand(CLI::App& app, int* exit_code);
void AddInitCommand(CLI::App& app, int* exit_code);
void AddOfflineCommands(CLI::App& app, int* exit_code);
void AddRejectCommand(CLI::App& app, int* exit_code);
void AddRunCommand(CLI::App& app, int* exit_code);
void AddServeCommand(CLI::App& app, int* exit_code);
void AddScoreCommand(CLI::App& app, int* exit_code);
void RegisterConfigCommand(CLI::App& app, int& exit_code);
void RegisterDataCommand(CLI::App& app, int& exit_code);

}  // namespace ponder::deploy
