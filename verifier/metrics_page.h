// GET /metrics over HTTP, for Prometheus.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace ponder::verifier {

// A machine: one thread that serves until the end of its life.
class MetricsPage {
 public:
  // `page` makes the text and must be thread-safe; it is called until this ends. Unavailable: the
  // port is in use or the address is not ours. InvalidArgument: no host:port.
  static absl::StatusOr<std::unique_ptr<MetricsPage>> Start(const std::string& listen,
                                                            std::function<std::string()> page);
  ~MetricsPage();

  const std::string& address() const { return address_; }  // host:port, as bound

 private:
  struct Http;  // the HTTP library's
  MetricsPage();

  std::string address_;
  const std::unique_ptr<Http> http_;
};

}  // namespace ponder::verifier
