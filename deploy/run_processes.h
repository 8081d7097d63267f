// RunProcesses: the programs that a run on one machine is made of, and how each is started.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "deploy/run_folder.h"
#include "deploy/supervisor.h"
#include "proto/config.pb.h"

namespace ponder::deploy {

// A program of ours, beside the one that runs now. NotFound: it has not been built.
absl::StatusOr<std::string> SiblingProgram(const std::string& name);

// A machine; the supervisor watches what it starts. All references outlive it.
class RunProcesses {
 public:
  // Names of children.
  static constexpr char kLearner[] = "learner", kVerifier[] = "verifier", kReward[] = "reward";

  RunProcesses(const RunFolder& folder, const v1::Config& config, Supervisor& supervisor)
      : folder_(folder), config_(config), supervisor_(supervisor) {}

  // The address of the verifier: verifier.address, or one that is started now, and before it the
  // reward model that it is to ask.
  absl::StatusOr<std::string> StartVerifier();
  // Starts ponder-learner for a stage that makes the model `out`.
  absl::Status StartLearner(const std::string& stage, const std::string& model,
                            const std::string& out);
  // Starts the actors of the learner that was started last, when it listens.
  absl::Status StartActors(const std::string& verifier);
  absl::Status StopActors();

 private:
  // Starts a server on a port that its restarts keep; its address once it listens.
  absl::StatusOr<std::string> StartServer(const std::string& name, const std::string& program,
                                          const std::vector<std::string>& arguments);
  absl::StatusOr<std::vector<std::string>> LearnerCommand(const std::string& stage,
                                                          const std::string& model,
                                                          const std::string& out);

  const RunFolder& folder_;
  const v1::Config& config_;
  Supervisor& supervisor_;
};

}  // namespace ponder::deploy
