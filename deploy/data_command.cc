// `ponder data make`: writes a generated task as prompt files.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/mixture.h"
#include "data/preference_set.h"
#include "data/tasks.h"
#include "deploy/commands.h"

namespace ponder::deploy {
namespace {

struct MakeOptions {
  std::string task = "sum3";
  int64_t train = 20000;
  int64_t eval = 256;
  uint64_t seed = 1;
  int level = 1;
  bool preferences = false;
  std::string folder;
};

absl::Status MakeData(const MakeOptions& options) {
  const std::string mixture =
      options.level == 1 ? options.task : absl::StrCat(options.task, "@", options.level);
  PONDER_ASSIGN_OR_RETURN(const data::TaskSet set,
                          data::MakeMixture(mixture, options.train, options.eval, options.seed));
  PONDER_RETURN_IF_ERROR(data::WriteTaskSet(set, options.folder));
  if (options.preferences) {
    PONDER_RETURN_IF_ERROR(data::WritePreferenceFiles(set, options.folder, options.seed));
  }
  std::printf(
      "%s: %zu training prompts in train.jsonl, worked out in sft.jsonl; %zu held-out in "
      "eval.jsonl\n",
      options.folder.c_str(), set.train.size(), set.eval.size());
  return absl::OkStatus();
}

}  // namespace

void RegisterDataCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("data", "Make prompt files");
  command->require_subcommand(1);
  auto options = std::make_shared<MakeOptions>();
  CLI::App* make = command->add_subcommand(
      "make", "Write a generated task: train.jsonl, eval.jsonl and sft.jsonl");
  make->add_option("--task", options->task,
                   "sum3, product, chain, modular, puzzle.<family> (docs/puzzles.md), code, "
                   "judge.<task>; or several: sum3:6000,puzzle.boolean@1-3:3000,code:1000")
      ->capture_default_str();
  make->add_option("--train", options->train, "how many training prompts, of each task")
      ->capture_default_str();
  make->add_option("--eval", options->eval, "how many held-out prompts")->capture_default_str();
  make->add_option("--level", options->level, "of a task that has levels")->capture_default_str();
  make->add_option("--seed", options->seed, "which of the task's problems, and their order")
      ->capture_default_str();
  make->add_flag(
      "--preferences", options->preferences,
      "also write dialogues.jsonl for ponder sft, preferences.jsonl for ponder rm and dpo");
  make->add_option("--out", options->folder, "folder to write to; made if need be")->required();
  make->callback(
      [options, &exit_code] { exit_code = ReportStatus("data make", MakeData(*options)); });
}

}  // namespace ponder::deploy
