#include "deploy/startup.h"

#include "absl/time/clock.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {

absl::Status WriteStartup(MetricsLog& metrics, const std::string& what, const std::string& name,
                          double started) {
  const double now = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());
  return metrics.Write(
      {{"event", "startup"}, {"what", what}, {"name", name}, {"seconds", now - started}});
}

}  // namespace ponder::deploy
