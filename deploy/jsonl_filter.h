// Commands that turn each line of a JSONL file into a line on stdout.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json_fwd.hpp"

namespace ponder::deploy {

using JsonlFunction = std::function<absl::StatusOr<nlohmann::ordered_json>(const nlohmann::ordered_json& line)>;

// `path`: a file, or "-" for stdin. Stops at the first error, which names file and line; every line
// is an object. Blank lines are an error too.
absl::Status FilterJsonl(const std::string& path, const JsonlFunction& function);

}  // namespace ponder::deploy
