// The run's configuration: YAML files read into the one schema, proto/config.proto, by reflection.
//
// Nothing is guessed or skipped: an unknown key, a wrong type, a value out of bounds, a key given
// twice or a combination that can't work is an error that names the place, the key and, where there
// is one, the nearest right key.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/config.pb.h"

namespace ponder {

// Reads the file at `path` (empty: none, all defaults), then applies `overrides` in order, each
// "section.key=value" as after --set; the last one of a key wins. The result has passed
// CheckConfig. InvalidArgument, e.g. "quickstart.yaml:7: unknown key rl.stepz, did you mean
// 'rl.steps'?", or, for an override, "--set rl.stepz=3: ..."; also if the file can't be read.
absl::StatusOr<v1::Config> LoadConfig(const std::string& path,
                                      const std::vector<std::string>& overrides);

// The same from the text of a file; `name` stands for it in messages.
absl::StatusOr<v1::Config> ParseConfig(absl::string_view yaml, const std::string& name,
                                       const std::vector<std::string>& overrides);

// Every value within the bounds that config.proto states, and values that must fit each other do.
absl::Status CheckConfig(const v1::Config& config);

// Every key of the schema with its value, defaults included, as YAML that LoadConfig reads back to
// the same config.
std::string PrintConfig(const v1::Config& config);

}  // namespace ponder
