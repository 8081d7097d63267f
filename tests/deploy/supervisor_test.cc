// Real processes: small shell scripts, killed for real.
#include "deploy/supervisor.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/steady_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder::deploy {
namespace supervisor_test {

using What = ChildEvent::What;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(60);  // far longer than anything here takes

bool Exists(pid_t pid) { return kill(pid, 0) == 0 || errno != ESRCH; }

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/ponder_supervisor_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    Supervisor::Options options;
    options.grace = absl::Seconds(1);
    supervisor_ = Supervisor::Create(options).value();
  }
  void TearDown() override {
    supervisor_.reset();
    std::filesystem::remove_all(folder_);
  }

  ChildSpec Script(const std::string& name, const std::string& script) const {
    ChildSpec spec;
    spec.name = name;
    spec.argv = {"sh", "-c", script};
    spec.log_path = absl::StrCat(folder_, "/logs/", name, ".log");
    spec.first_backoff = absl::Milliseconds(1);
    return spec;
  }

  ChildEvent Next() {
    std::optional<ChildEvent> event = supervisor_->NextEvent(SteadyNow() + kLong);
    EXPECT_TRUE(event.has_value()) << "no event";
    return event.value_or(ChildEvent());
  }

  // The next event is `what` about `name`.
  ChildEvent Next(What what, const std::string& name) {
    const ChildEvent event = Next();
    EXPECT_EQ(std::string(EventName(event.what)), EventName(what)) << event.cause;
    EXPECT_EQ(event.name, name);
    return event;
  }

  std::string LogOf(const std::string& name) const {
    return ReadFile(absl::StrCat(folder_, "/logs/", name, ".log")).value_or("");
  }

  std::string folder_;
  std::unique_ptr<Supervisor> supervisor_;
};

TEST_F(SupervisorTest, FinishesAndKeepsTheLog) {
  ChildSpec spec = Script("worker", "echo $GREETING; echo problem >&2");
  spec.environment = {{"GREETING", "good morning"}};
  ASSERT_EQ(supervisor_->Start(spec), absl::OkStatus());
  const pid_t pid = Next(What::kStarted, "worker").pid;
  const ChildEvent end = Next(What::kFinished, "worker");
  EXPECT_EQ(end.pid, pid);
  EXPECT_EQ(LogOf("worker"), "good morning\nproblem\n");
  EXPECT_FALSE(Exists(pid));
  // Once more under the same name: the log goes on.
  ASSERT_EQ(supervisor_->Start(spec), absl::OkStatus());
  Next(What::kStarted, "worker");
  Next(What::kFinished, "worker");
  EXPECT_EQ(LogOf("worker"), "good morning\nproblem\ngood morning\nproblem\n");
}

TEST_F(SupervisorTest, TheRootCauseIsOneLine) {
  ASSERT_EQ(supervisor_->Start(Script("learner", "echo step 1; echo; echo 'disk is full'; exit 7")),
            absl::OkStatus());
  Next(What::kStarted, "learner");
  const ChildEvent end = Next(What::kGaveUp, "learner");
  EXPECT_THAT(end.cause,
              ContainsRegex("^learner \\(pid [0-9]+\\) exited with code 7 after [0-9]+\\.[0-9]s; "
                            "peak memory [0-9]+ MiB; last log lines: step 1 \\| disk is full$"));
  EXPECT_THAT(end.cause, HasSubstr(absl::StrCat("(pid ", end.pid, ")")));
}

TEST_F(SupervisorTest, TheRootCauseKnowsItsOwnLifeOnly) {
  ASSERT_EQ(supervisor_->Start(Script("a", "echo from another life; exit 1")), absl::OkStatus());
  Next(What::kStarted, "a");
  Next(What::kGaveUp, "a");
  ASSERT_EQ(supervisor_->Start(Script("a", "kill -SEGV $$")), absl::OkStatus());
  Next(What::kStarted, "a");
  const ChildEvent end = Next(What::kGaveUp, "a");
  EXPECT_THAT(end.cause, HasSubstr("was killed by SIGSEGV"));
  EXPECT_THAT(end.cause, HasSubstr("it logged nothing"));
}

TEST_F(SupervisorTest, PeakMemoryIsMeasured) {
  // tail keeps its only line in memory: 64 MiB without a line break.
  ASSERT_EQ(supervisor_->Start(
                Script("hungry", "head -c 67108864 /dev/zero | tail -n 1 > /dev/null; exit 1")),
            absl::OkStatus());
  Next(What::kStarted, "hungry");
  const std::string cause = Next(What::kGaveUp, "hungry").cause;
  const std::vector<std::string> parts = absl::StrSplit(cause, "peak memory ");
  ASSERT_EQ(parts.size(), 2u) << cause;
  EXPECT_GE(std::stoi(parts[1]), 64) << cause;
  EXPECT_LE(std::stoi(parts[1]), 512) << cause;
}

TEST_F(SupervisorTest, StartsAgainWhatWasKilled) {
  ChildSpec spec = Script("actor.0", "echo alive; sleep 1000 & wait");
  spec.max_restarts = 5;
  ASSERT_EQ(supervisor_->Start(spec), absl::OkStatus());
  pid_t pid = Next(What::kStarted, "actor.0").pid;
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    EXPECT_THAT(Next(What::kDied, "actor.0").cause, HasSubstr("was killed by SIGKILL"));
    const ChildEvent again = Next(What::kRestarted, "actor.0");
    EXPECT_THAT(again.cause, HasSubstr(absl::StrCat("(pid ", pid, ") was killed by SIGKILL")));
    EXPECT_FALSE(Exists(pid));
    pid = again.pid;
    EXPECT_TRUE(Exists(pid));
  }
}

TEST_F(SupervisorTest, GivesUpAfterTooManyRestarts) {
  ChildSpec spec = Script("verifier", "echo 'port in use'; exit 2");
  spec.max_restarts = 3;
  ASSERT_EQ(supervisor_->Start(spec), absl::OkStatus());
  Next(What::kStarted, "verifier");
  for (int i = 0; i < 3; ++i) {
    Next(What::kDied, "verifier");
    Next(What::kRestarted, "verifier");
  }
  EXPECT_THAT(
      Next(What::kGaveUp, "verifier").cause,
      ContainsRegex("verifier was started again 3 times within 1m and died each time; not "
                    "again. At last verifier \\(pid [0-9]+\\) exited with code 2 .*port in use"));
  EXPECT_FALSE(supervisor_->NextEvent(SteadyNow() + absl::Milliseconds(50)).has_value());
}

TEST_F(SupervisorTest, RestartsOutsideTheWindowDoNotCount) {
  ChildSpec spec = Script("flaky", "exit 1");
  spec.max_restarts = 1;
  spec.restart_window = absl::ZeroDuration();
  ASSERT_EQ(supervisor_->Start(spec), absl::OkStatus());
  Next(What::kStarted, "flaky");
  for (int i = 0; i < 5; ++i) {
    Next(What::kDied, "flaky");
    Next(What::kRestarted, "flaky");
  }
  EXPECT_EQ(supervisor_->Stop("flaky"), absl::OkStatus());
}

TEST_F(SupervisorTest, StopsInReverseOrder) {
  const std::string polite =
      "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 1000 & wait $!; done";
  for (const char* name : {"verifier", "learner", "actor.0"}) {
    ChildSpec spec = Script(name, absl::StrCat(polite));
    spec.max_restarts = 3;
    ASSERT_EQ(supervisor_->Start(spec), absl::OkStatus());
    Next(What::kStarted, name);
  }
  EXPECT_EQ(supervisor_->StopAll(), absl::OkStatus());
  Next(What::kStopped, "actor.0");
  Next(What::kStopped, "learner");
  Next(What::kStopped, "verifier");
  EXPECT_EQ(supervisor_->StopAll(), absl::OkStatus());
}

// Has it ended? Its entry may stay until init reaps it.
bool Gone(pid_t pid) {
  std::ifstream stat(absl::StrCat("/proc/", pid, "/stat"));
  std::string number, name, state;
  return !(stat >> number >> name >> state) || state == "Z";
}

bool GoneBy(pid_t pid, absl::Time deadline) {
  while (!Gone(pid) && SteadyNow() < deadline) absl::SleepFor(absl::Milliseconds(5));
  return Gone(pid);
}

TEST_F(SupervisorTest, KillsWhatWillNotStopWithAllThatItStarted) {
  // A grandchild in its own process group (set -m), that ignores SIGTERM as its parent does.
  ChildSpec spec =
      Script("stubborn", absl::StrCat("set -m; trap '' TERM; sleep 1000 & echo $! > ", folder_,
                                      "/grandchild; echo x > ", folder_, "/.port; mv ", folder_,
                                      "/.port ", folder_, "/port; wait; sleep 1000"));
  spec.argv[0] = "bash";
  spec.port_file = folder_ + "/port";
  ASSERT_EQ(supervisor_->Start(spec), absl::OkStatus());
  const pid_t pid = Next(What::kStarted, "stubborn").pid;
  ASSERT_EQ(supervisor_->WaitForPort("stubborn", SteadyNow() + kLong).status(), absl::OkStatus());
  const pid_t grandchild = std::stoi(ReadFile(folder_ + "/grandchild").value());
  EXPECT_FALSE(Gone(grandchild));
  EXPECT_NE(getpgid(grandchild), pid);
  EXPECT_EQ(supervisor_->Stop("stubborn"), absl::OkStatus());
  EXPECT_FALSE(Exists(pid));
  Next(What::kStopped, "stubborn");
  EXPECT_TRUE(GoneBy(grandchild, SteadyNow() + kLong));
}

#ifdef PONDER_MPIRUN
TEST_F(SupervisorTest, AnMpiJobDiesAsAWhole) {
  for (const int signal : {SIGTERM, SIGKILL}) {
    ChildSpec spec = Script("learner", "");
    const std::string rank =
        absl::StrCat("echo $$ > ", folder_, "/rank.$OMPI_COMM_WORLD_RANK.new; mv ", folder_,
                     "/rank.$OMPI_COMM_WORLD_RANK.new ", folder_,
                     "/rank.$OMPI_COMM_WORLD_RANK; exec sleep 1000");
    spec.argv = {PONDER_MPIRUN, "--allow-run-as-root", "--oversubscribe", "-n", "2", "sh", "-c",
                 rank};
    ASSERT_EQ(supervisor_->Start(spec), absl::OkStatus());
    const pid_t mpirun = Next(What::kStarted, "learner").pid;
    std::vector<pid_t> ranks;
    for (int r = 0; r < 2; ++r) {
      const std::string file = absl::StrCat(folder_, "/rank.", r);
      const absl::Time deadline = SteadyNow() + kLong;
      while (!ReadFile(file).ok() && SteadyNow() < deadline) absl::SleepFor(absl::Milliseconds(5));
      ranks.push_back(std::stoi(ReadFile(file).value()));
      std::filesystem::remove(file);
    }
    if (signal == SIGTERM) {
      EXPECT_EQ(supervisor_->Stop("learner"), absl::OkStatus());
      Next(What::kStopped, "learner");
    } else {
      ASSERT_EQ(kill(mpirun, SIGKILL), 0);
      Next(What::kGaveUp, "learner");
    }
    for (const pid_t pid : ranks) EXPECT_TRUE(GoneBy(pid, SteadyNow() + absl::Seconds(2)));
  }
}
#endif

TEST_F(SupervisorTest, StopEndsABackoff) {
  ChildSpec spec = Script("patient", "exit 1");
  spec.max_restarts = 1;
  spec.first_backoff = absl::Hours(1);
  ASSERT_EQ(supervisor_->Start(spec), absl::OkStatus());
  Next(What::kStarted, "patient");
  Next(What::kDied, "patient");
  EXPECT_EQ(supervisor_->Stop("patient"), absl::OkStatus());
  Next(What::kStopped, "patient");
}

TEST_F(SupervisorTest, WaitsForThePort) {
  const std::string port = folder_ + "/port";
  ASSERT_EQ(WriteFileAtomic(port, "stale:1\n"), absl::OkStatus());
  ChildSpec spec = Script("learner", absl::StrCat("echo 127.0.0.1:4242 > ", port, ".new; mv ", port,
                                                  ".new ", port, "; sleep 1000"));
  spec.port_file = port;
  ASSERT_EQ(supervisor_->Start(spec), absl::OkStatus());
  const auto listening = supervisor_->WaitForPort("learner", SteadyNow() + kLong);
  ASSERT_EQ(listening.status(), absl::OkStatus());
  EXPECT_EQ(*listening, "127.0.0.1:4242");
}

TEST_F(SupervisorTest, WaitingForThePortEndsWithTheChild) {
  ChildSpec spec = Script("learner", "echo 'no such model'; exit 2");
  spec.port_file = folder_ + "/port";
  ASSERT_EQ(supervisor_->Start(spec), absl::OkStatus());
  const auto port = supervisor_->WaitForPort("learner", SteadyNow() + kLong);
  EXPECT_EQ(port.status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(port.status().message()), HasSubstr("exited with code 2"));
  EXPECT_THAT(std::string(port.status().message()), HasSubstr("no such model"));
}

TEST_F(SupervisorTest, WaitingForThePortHasADeadline) {
  ChildSpec spec = Script("learner", "sleep 1000");
  spec.port_file = folder_ + "/port";
  ASSERT_EQ(supervisor_->Start(spec), absl::OkStatus());
  const auto port = supervisor_->WaitForPort("learner", SteadyNow() + absl::Milliseconds(50));
  EXPECT_EQ(port.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(port.status().message()), HasSubstr("learner does not listen yet"));
}

TEST_F(SupervisorTest, ErrorsOfStarting) {
  ChildSpec spec = Script("a", "sleep 1000");
  ASSERT_EQ(supervisor_->Start(spec), absl::OkStatus());
  EXPECT_EQ(supervisor_->Start(spec).code(), absl::StatusCode::kAlreadyExists);
  ChildSpec missing = Script("b", "");
  missing.argv = {folder_ + "/no-such-program"};
  const absl::Status status = supervisor_->Start(missing);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no-such-program"));
  ChildSpec unlogged = Script("c", "sleep 1000");
  unlogged.log_path = "/proc/no/such.log";
  EXPECT_FALSE(supervisor_->Start(unlogged).ok());
  EXPECT_EQ(supervisor_->Stop("d").code(), absl::StatusCode::kNotFound);
}

// A supervisor in a process of its own is killed by SIGKILL: it can't do anything, yet its children
// die.
TEST_F(SupervisorTest, NoOrphanSurvives) {
  supervisor_.reset();  // its thread would not survive the fork
  const std::string pids_file = folder_ + "/pids";
  const pid_t parent = fork();
  if (parent == 0) {
    auto supervisor = Supervisor::Create({}).value();
    std::string pids;
    for (const char* name : {"actor.0", "actor.1"}) {
      if (!supervisor->Start(Script(name, "trap '' TERM HUP; exec sleep 1000")).ok()) _exit(1);
      absl::StrAppend(&pids, supervisor->NextEvent(SteadyNow() + kLong)->pid, " ");
    }
    if (!WriteFileAtomic(pids_file, pids).ok()) _exit(1);
    for (;;) pause();
  }
  absl::StatusOr<std::string> pids = ReadFile(pids_file);
  const absl::Time deadline = SteadyNow() + kLong;
  while (!pids.ok() && SteadyNow() < deadline) {
    absl::SleepFor(absl::Milliseconds(5));
    pids = ReadFile(pids_file);
  }
  ASSERT_EQ(pids.status(), absl::OkStatus());
  ASSERT_EQ(kill(parent, SIGKILL), 0);
  const absl::Time killed = SteadyNow();
  waitpid(parent, nullptr, 0);
  for (const absl::string_view text : absl::StrSplit(*pids, ' ', absl::SkipEmpty())) {
    EXPECT_TRUE(GoneBy(std::stoi(std::string(text)), killed + absl::Seconds(2)))
        << "process " << std::string(text) << " survived its supervisor";
  }
}

}  // namespace supervisor_test
}  // namespace ponder::deploy
