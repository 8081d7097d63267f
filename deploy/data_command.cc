// `ponder data make`: writes a generated task as prompt files.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/strip.h"
#include "base/status.h"
#include "data/puzzle/puzzle_set.h"
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
  std::string folder;
};

absl::Status MakeData(const MakeOptions& options) {
  absl::string_view family = options.task;
  PONDER_ASSIGN_OR_RETURN(
      const data::TaskSet set,
      absl::ConsumePrefix(&family, "puzzle.")
          ? data::puzzle::MakePuzzleSet(family, options.level, options.train, options.eval,
                                        options.seed)
          : data::MakeTaskSet(options.task, options.train, options.eval, options.seed));
  PONDER_RETURN_IF_ERROR(data::WriteTaskSet(set, options.folder));
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
                   "sum3, product, chain, modular, or puzzle.<family> (docs/puzzles.md)")
      ->capture_default_str();
  make->add_option("--train", options->train, "how many training prompts")->capture_default_str();
  make->add_option("--eval", options->eval, "how many held-out prompts")->capture_default_str();
  make->add_option("--level", options->level, "of the puzzles, from 1 to 10")
      ->capture_default_str();
  make->add_option("--seed", options->seed, "which of the task's problems, and their order")
      ->capture_default_str();
  make->add_option("--out", options->folder, "folder to write to; made if need be")->required();
  make->callback(
      [options, &exit_code] { exit_code = ReportStatus("data make", MakeData(*options)); });
}

}  // namespace ponder::deploy
