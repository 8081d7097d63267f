// What is wrong with a configuration whose every key has the right type.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proto/config.pb.h"

namespace ponder {

// A value. `keys` are the ones whose values clash, e.g. {"model.num_experts",
// "learner.expert_parallel"}.
struct ConfigProblem {
  std::vector<std::string> keys;
  std::string message;  // one line that names the keys and their values
};

// The first problem, bounds of single keys before combinations; nullopt: the config is sound.
std::optional<ConfigProblem> FindConfigProblem(const v1::Config& config);

}  // namespace ponder
