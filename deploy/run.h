// A whole run on one machine. See run_command.cc for its stages.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace ponder::deploy {

struct RunOptions {
  std::string config;                  // path; empty: all defaults
  std::string out;                     // folder of the new run
  std::vector<std::string> overrides;  // "key=value"
  std::string resume;                  // folder of the run to go on with, instead of the above
  std::string model;  // folder of a model to start from; empty: a random one, then SFT
};

// Cancelled: stopped by SIGTERM or SIGINT; the run can be resumed.
absl::Status Run(const RunOptions& options);

}  // namespace ponder::deploy
