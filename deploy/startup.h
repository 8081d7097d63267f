// How long the processes of a run took to get going, as events of its log.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "base/metrics.h"

namespace ponder::deploy {

// Writes {"event": "startup", "what", "name", "seconds"}: `name` reached the milestone `what`, this
// long after `started` (unix time, seconds).
absl::Status WriteStartup(MetricsLog& metrics, const std::string& what, const std::string& name,
                          double started);

}  // namespace ponder::deploy
