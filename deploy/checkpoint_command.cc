// `ponder checkpoint diff`: which tensors of two checkpoints differ, and by how much.
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "deploy/commands.h"
#include "moe/checkpoint_diff.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {
namespace {

struct DiffOptions {
  std::string a, b;
  bool json = false;
};

// JSON knows no NaN and no infinity.
nlohmann::ordered_json Number(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

std::string Line(const moe::TensorDifference& difference, bool json) {
  if (json) {
    nlohmann::ordered_json line = {{"tensor", difference.name}};
    if (!difference.what.empty()) line["what"] = difference.what;
    if (difference.values) {
      line["max_abs"] = Number(difference.max_abs);
      line["relative"] = Number(difference.relative);
    }
    return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  }
  std::string line = difference.name;
  if (!difference.what.empty()) line += "  " + difference.what;
  if (difference.values)
    absl::StrAppendFormat(&line, "  max abs %.3g  relative %.3g", difference.max_abs,
                          difference.relative);
  return line;
}

absl::Status RunDiff(const DiffOptions& options) {
  PONDER_ASSIGN_OR_RETURN(const moe::CheckpointDiff diff,
                          moe::DiffCheckpoints(options.a, options.b));
  for (const moe::TensorDifference& difference : diff.differences)
    std::printf("%s\n", Line(difference, options.json).c_str());
  if (!options.json)
    std::printf("%zu of %lld tensors differ\n", diff.differences.size(),
                static_cast<long long>(diff.tensors));
  if (std::fflush(stdout) != 0) return ErrnoStatus(errno, "can't write to stdout");
  return absl::OkStatus();
}

}  // namespace

void AddCheckpointCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<DiffOptions>();
  CLI::App* group = app.add_subcommand("checkpoint", "look at checkpoints");
  group->require_subcommand(1);
  CLI::App* command =
      group->add_subcommand("diff", "name the tensors of two checkpoints that differ");
  command->add_option("A", options->a, "folder of a model")->required();
  command->add_option("B", options->b, "folder of another")->required();
  command->add_flag("--json", options->json, "an object {tensor, what, max_abs, relative} a line");
  command->callback(
      [options, exit_code] { *exit_code = ReportStatus("checkpoint diff", RunDiff(*options)); });
}

}  // namespace ponder::deploy
