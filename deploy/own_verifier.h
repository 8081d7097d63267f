// OwnVerifier: a ponder-verifier of our own, for commands that were not told of a running one.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "deploy/supervisor.h"

namespace ponder::deploy {

// A machine. The child listens on a free port of this host, ends with this object and dies with
// this process.
class OwnVerifier {
 public:
  // Runs the ponder-verifier that lies beside this process's binary, and waits until it listens.
  // NotFound: there is none; Aborted: it ended at once, and why; DeadlineExceeded: it does not
  // listen within 10 s.
  static absl::StatusOr<std::unique_ptr<OwnVerifier>> Start(int threads);

  const std::string& address() const { return address_; }  // host:port

 private:
  OwnVerifier(std::unique_ptr<Supervisor> supervisor, std::string address)
      : supervisor_(std::move(supervisor)), address_(std::move(address)) {}

  const std::unique_ptr<Supervisor> supervisor_;
  const std::string address_;
};

}  // namespace ponder::deploy
