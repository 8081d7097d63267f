#include "deploy/run_processes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "base/steady_clock.h"

namespace ponder::deploy {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kStartTimeout = absl::Seconds(60);
constexpr int kMaxRestarts = 20;  // of what may die at any moment

// A port that is free now. A child that is restarted must find its old port again, so it can't
// choose one itself.
absl::StatusOr<int> FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return ErrnoStatus(errno, "can't open a socket");
  absl::Cleanup closer = [fd] { close(fd); };
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return ErrnoStatus(errno, "can't find a free port");
  }
  return ntohs(address.sin_port);
}

std::string ActorName(int64_t i) { return absl::StrCat("actor.", i); }

}  // namespace

absl::StatusOr<std::string> SiblingProgram(const std::string& name) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const fs::path sibling = self.parent_path() / name;
  if (error || !fs::exists(sibling, error)) {
    return absl::NotFoundError(
        absl::StrCat(sibling.string(), " is missing; build it with `make build`"));
  }
  return sibling.string();
}

absl::StatusOr<std::string> RunProcesses::StartServer(const std::string& name,
                                                      const std::string& program,
                                                      const std::vector<std::string>& arguments) {
  ChildSpec child;
  child.name = name;
  PONDER_ASSIGN_OR_RETURN(const std::string path, SiblingProgram(program));
  PONDER_ASSIGN_OR_RETURN(const int port, FreePort());
  child.log_path = folder_.log(name);
  child.port_file = folder_.port_file(name);
  child.argv = {path,          "serve",        "--listen", absl::StrCat("127.0.0.1:", port),
                "--port-file", child.port_file};
  child.argv.insert(child.argv.end(), arguments.begin(), arguments.end());
  child.max_restarts = kMaxRestarts;
  PONDER_RETURN_IF_ERROR(supervisor_.Start(child));
  return supervisor_.WaitForPort(name, SteadyNow() + kStartTimeout);
}

absl::StatusOr<std::string> RunProcesses::StartVerifier() {
  const v1::VerifierConfig& config = config_.verifier();
  if (!config.address().empty()) return config.address();
  // Learner and actors leave no processor free, whatever programs do.
  std::vector<std::string> arguments = {"--threads", absl::StrCat(config.threads()), "--code",
                                        "if-jailed", "--every-processor"};
  std::string reward_url = config.reward_url();
  if (!config.reward_model().empty()) {
    PONDER_ASSIGN_OR_RETURN(const std::string address,
                            StartServer(kReward, "ponder", {"--model", config.reward_model()}));
    reward_url = absl::StrCat("http://", address);
  }
  if (!reward_url.empty()) arguments.insert(arguments.end(), {"--reward-url", reward_url});
  if (!config.judge_url().empty()) {
    arguments.insert(arguments.end(),
                     {"--judge-url", config.judge_url(), "--judge-model", config.judge_model()});
  }
  return StartServer(kVerifier, "ponder-verifier", arguments);
}

absl::Status RunProcesses::StartActors(const std::string& verifier) {
  PONDER_ASSIGN_OR_RETURN(const std::string learner,
                          supervisor_.WaitForPort(kLearner, SteadyNow() + kStartTimeout));
  PONDER_ASSIGN_OR_RETURN(const std::string program, SiblingProgram("ponder"));
  for (int64_t i = 0; i < config_.actor().count(); ++i) {
    ChildSpec child;
    child.name = ActorName(i);
    child.log_path = folder_.log(child.name);
    child.argv = {program,      "actor",          "--learner", learner,
                  "--verifier", verifier,         "--name",    child.name,
                  "--config",   folder_.config(), "--metrics", folder_.metrics()};
    child.max_restarts = kMaxRestarts;
    PONDER_RETURN_IF_ERROR(supervisor_.Start(child));
  }
  return absl::OkStatus();
}

absl::Status RunProcesses::StopActors() {
  for (int64_t i = 0; i < config_.actor().count(); ++i)
    PONDER_RETURN_IF_ERROR(supervisor_.Stop(ActorName(i)));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> RunProcesses::LearnerCommand(const std::string& stage,
                                                                      const std::string& model,
                                                                      const std::string& out) {
  std::vector<std::string> command;
  if (config_.learner().ranks() > 1) {
    command = {"mpirun",
               "-n",
               absl::StrCat(config_.learner().ranks()),
               "--oversubscribe",
               "--bind-to",
               "none",
               "--mca",
               "mpi_yield_when_idle",
               "1"};
    if (getuid() == 0) command.push_back("--allow-run-as-root");
  }
  PONDER_ASSIGN_OR_RETURN(const std::string program, SiblingProgram("ponder-learner"));
  command.insert(command.end(), {program, stage, "--config", folder_.config(), "--run",
                                 folder_.root, "--model", model, "--out", out, "--resume"});
  if (stage == "rl") command.insert(command.end(), {"--port-file", folder_.port_file(kLearner)});
  return command;
}

absl::Status RunProcesses::StartLearner(const std::string& stage, const std::string& model,
                                        const std::string& out) {
  ChildSpec child;
  child.name = kLearner;
  child.log_path = folder_.log(child.name);
  if (stage == "rl") child.port_file = folder_.port_file(child.name);
  PONDER_ASSIGN_OR_RETURN(child.argv, LearnerCommand(stage, model, out));
  return supervisor_.Start(child);
}

}  // namespace ponder::deploy
