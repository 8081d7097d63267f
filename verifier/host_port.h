// host:port, as in --listen.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ponder::verifier {

// A value.
struct HostPort {
  std::string host;
  int port = 0;
};

// InvalidArgument says what is wrong with it.
inline absl::StatusOr<HostPort> ParseHostPort(const std::string& text) {
  const size_t colon = text.rfind(':');
  HostPort parsed;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(text.substr(colon + 1), &parsed.port) || parsed.port < 0 ||
      parsed.port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("can't listen on '", text, "': give host:port, e.g. 127.0.0.1:50051"));
  }
  parsed.host = text.substr(0, colon);
  return parsed;
}

// Unavailable, with what to do.
inline absl::Status CantListen(const std::string& text) {
  return absl::UnavailableError(absl::StrCat("can't listen on ", text,
                                             ": the port is in use or the address is not this "
                                             "machine's; give another (port 0: any free one)"));
}

}  // namespace ponder::verifier
