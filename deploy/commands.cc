#include "deploy/commands.h"

#include <cstdio>
#include <string>

namespace ponder::deploy {

int ReportStatus(const char* command, const absl::Status& status) {
  if (status.ok()) return 0;
  const std::string message(status.message());
  std::fprintf(stderr, "ponder %s: %s\n", command, message.c_str());
  const bool usage = absl::IsInvalidArgument(status) || absl::IsOutOfRange(status);
  return usage ? kExitBadUsage : kExitFailure;
}

}  // namespace ponder::deploy
