// LearnerService: what the learner serves to its actors over gRPC (proto/learner.proto): the sample
// pool and the weights, with health and reflection, on one port.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "learner/sample_pool.h"
#include "learner/weight_store.h"

namespace ponder::learner {

// A machine. Serves from Start until Shutdown or the end of its life.
class LearnerService {
 public:
  struct Options {
    std::string listen = "127.0.0.1:0";  // host:port; port 0: any free one
    int max_threads = 512;  // a call that waits holds one; when half of them wait, further calls
                            // are answered at once
  };
  // `pool` and `weights` outlive it. Unavailable: the port is in use, or the address isn't this
  // machine's.
  static absl::StatusOr<std::unique_ptr<LearnerService>> Start(const Options& options,
                                                               SamplePool& pool,
                                                               WeightStore& weights);
  ~LearnerService();

  // host:port that it listens on.
  const std::string& address() const;

  // Ends the calls that wait, lets the others end until `grace` has passed, then cuts them off.
  // Call it after SamplePool::Finish or Close, so that actors hear which it is.
  void Shutdown(absl::Duration grace);

 private:
  struct Server;
  explicit LearnerService(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

}  // namespace ponder::learner
