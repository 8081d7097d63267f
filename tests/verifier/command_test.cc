// ponder-verifier as its users start it.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/steady_clock.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "proto/verifier.grpc.pb.h"

namespace ponder::verifier {
namespace command_test {

const char kBinary[] = PONDER_BINARY_DIR "/bin/ponder-verifier";

class CommandTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "verifier_command_XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  void TearDown() override {
    if (server_ > 0) {
      kill(server_, SIGKILL);
      waitpid(server_, nullptr, 0);
    }
    for (const char* file : {"/port", "/metrics_port", "/in", "/out", "/err", "/token", "/audit"})
      unlink((folder_ + file).c_str());
    rmdir(folder_.c_str());
  }

  // Output goes to the files out and err in the folder.
  pid_t Start(std::vector<std::string> arguments, const char* binary = kBinary) {
    std::vector<char*> argv = {const_cast<char*>(binary)};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&files, 1, (folder_ + "/out").c_str(), flags, 0600);
    posix_spawn_file_actions_addopen(&files, 2, (folder_ + "/err").c_str(), flags, 0600);
    pid_t pid = -1;
    EXPECT_EQ(posix_spawn(&pid, binary, &files, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&files);
    return pid;
  }

  static int ExitCode(pid_t pid) {
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  // Starts the service and waits until it says where it listens.
  std::string Serve(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"serve", "--listen", "127.0.0.1:0", "--port-file",
                                          folder_ + "/port"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Serve(kBinary, std::move(arguments));
  }
  std::string Serve(const char* binary, std::vector<std::string> arguments) {
    server_ = Start(std::move(arguments), binary);
    const absl::Time deadline = SteadyNow() + absl::Seconds(60);
    while (SteadyNow() < deadline) {
      const auto address = ReadFile(folder_ + "/port");
      if (address.ok()) return *address;
      absl::SleepFor(absl::Milliseconds(2));
    }
    return "";
  }

  std::string Read(const char* file) { return ReadFile(folder_ + file).value_or(""); }

  std::string folder_;
  pid_t server_ = -1;
};

TEST_F(CommandTest, ServesUntilToldToStop) {
  for (const int signal : {SIGTERM, SIGINT}) {
    unlink((folder_ + "/port").c_str());
    const std::string address = Serve();
    auto stub =
        v1::Verifier::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    v1::GradeRequest request;
    v1::GradeResponse response;
    request.set_kind("math");
    request.set_gold("4");
    request.set_response("\\boxed{4}");
    const grpc::Status status = stub->Grade(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.verdict().outcome(), v1::Verdict::CORRECT);
    kill(server_, signal);
    EXPECT_EQ(ExitCode(server_), 0);
    server_ = -1;
  }
}

// The figures that the documentation names; with room for machines that are busy or slow.
TEST_F(CommandTest, IsSmallAndSoonUp) {
  const absl::Time start = SteadyNow();
  ASSERT_NE(Serve(), "");
  RecordProperty("milliseconds_until_up",
                 static_cast<int>((SteadyNow() - start) / absl::Milliseconds(1)));
  const std::string status = ReadFile(absl::StrCat("/proc/", server_, "/status")).value_or("");
  const size_t at = status.find("VmRSS:");
  ASSERT_NE(at, std::string::npos);
  const long kilobytes = std::strtol(status.c_str() + at + 6, nullptr, 10);
  RecordProperty("resident_kilobytes", static_cast<int>(kilobytes));
  EXPECT_LE(kilobytes, 50 * 1024);
}

TEST_F(CommandTest, CallsAServiceAsGradeGrades) {
  ASSERT_TRUE(WriteFileAtomic(folder_ + "/token", "secret").ok());
  const std::string address =
      Serve({"--token-file", folder_ + "/token", "--audit-log", folder_ + "/audit",
             "--metrics-listen", "127.0.0.1:0", "--metrics-port-file", folder_ + "/metrics_port"});
  ASSERT_TRUE(WriteFileAtomic(folder_ + "/in",
                              R"({"id": 1, "kind": "math", "gold": "4", "response": "\\boxed{4}"}
{"id": 2, "kind": "math", "gold": "4", "response": "<think>"}
{"id": 3, "kind": "alchemy", "gold": "4", "response": "4"}
)")
                  .ok());
  EXPECT_EQ(ExitCode(Start({"call", "--address", address, "--in", folder_ + "/in", "--token-file",
                            folder_ + "/token"})),
            1);
  EXPECT_THAT(Read("/err"), testing::HasSubstr("line 3: request 0: no grader of kind 'alchemy'"));
  const std::string called = Read("/out");
  EXPECT_EQ(ExitCode(Start({"grade", "--in", folder_ + "/in"})), 1);
  EXPECT_EQ(called, Read("/out"));
  EXPECT_EQ(ExitCode(Start({"call", "--address", address, "--in", folder_ + "/in"})), 1);
  EXPECT_THAT(Read("/err"), testing::HasSubstr("token"));
  EXPECT_THAT(Read("/audit"), testing::HasSubstr(R"("detail":"unclosed_thought")"));
  EXPECT_THAT(Read("/metrics_port"), testing::StartsWith("127.0.0.1:"));
}

// The jail is tried while the service is up already; programs wait for it.
TEST_F(CommandTest, JudgesProgramsOnceTheJailIsTried) {
  const std::string address = Serve();
  const char kProgram[] = R"line({"id": 1, "kind": "code", "language": "python",
    "response": "print(int(input()) * 2)",
    "tests": {"stdin": [{"input": "3\n", "output": "6\n"}]}})line";
  std::string line = kProgram;
  line.erase(std::remove(line.begin(), line.end(), '\n'), line.end());
  ASSERT_TRUE(WriteFileAtomic(folder_ + "/in", line).ok());
  EXPECT_EQ(ExitCode(Start({"call", "--address", address, "--in", folder_ + "/in"})), 0);
  EXPECT_THAT(Read("/out"), testing::HasSubstr(R"("verdict":"correct","detail":"AC")"));
}

TEST_F(CommandTest, RefusesToServeProgramsWithoutASandbox) {
  const std::string nobody = "--reuid=65534";
  ASSERT_EQ(geteuid(), 0u) << "the sandbox needs root, and this test somebody else";
  EXPECT_EQ(ExitCode(Start({nobody, "--clear-groups", "--regid=65534", kBinary, "serve"},
                           "/usr/bin/setpriv")),
            1);
  EXPECT_THAT(Read("/err"), testing::HasSubstr("missing: users of their own"));
  EXPECT_THAT(Read("/err"), testing::HasSubstr("--accept-missing-layers"));
}

// A user's own verifier against the same .proto, called as ours is.
TEST_F(CommandTest, CallsAVerifierInPython) {
  const std::string address = Serve(
      "/usr/bin/python3", {PONDER_SOURCE_DIR "/verifier/python_example/word_count_verifier.py",
                           "--listen", "127.0.0.1:0", "--port-file", folder_ + "/port"});
  ASSERT_NE(address, "") << Read("/err");
  ASSERT_TRUE(
      WriteFileAtomic(
          folder_ + "/in",
          R"({"id": 1, "kind": "word_count", "gold": "3", "response": "<think>long one</think>one two three"}
{"id": 2, "kind": "word_count", "gold": "3", "response": "one two"}
{"id": 3, "kind": "word_count", "gold": "three", "response": "one two three"}
{"id": 4, "kind": "word_count", "gold": "3", "response": "<think>one two"}
)")
          .ok());
  EXPECT_EQ(ExitCode(Start({"call", "--address", address, "--in", folder_ + "/in"})), 0)
      << Read("/err");
  EXPECT_EQ(
      Read("/out"),
      R"({"id":1,"verdict":"correct","detail":"","extracted":"one two three","reason":"3 words, 3 wanted"}
{"id":2,"verdict":"wrong","detail":"","extracted":"one two","reason":"2 words, 3 wanted"}
{"id":3,"verdict":"error","detail":"unparsable_gold","extracted":"","reason":"the gold is no number"}
{"id":4,"verdict":"unparsable","detail":"unclosed_thought","extracted":"","reason":"the thought is never closed"}
)");
  kill(server_, SIGTERM);
  EXPECT_EQ(ExitCode(server_), 0);
  server_ = -1;
}

TEST_F(CommandTest, TakenPortIsOneLineAndExitOne) {
  const std::string address = Serve();
  EXPECT_EQ(ExitCode(Start({"serve", "--listen", address})), 1);
  const std::string error = Read("/err");
  EXPECT_THAT(error, testing::HasSubstr(address));
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1) << error;
}

TEST_F(CommandTest, GradesAFile) {
  ASSERT_TRUE(WriteFileAtomic(folder_ + "/in",
                              R"({"id": "x", "kind": "math", "gold": "4", "response": "4"})")
                  .ok());
  EXPECT_EQ(ExitCode(Start({"grade", "--in", folder_ + "/in"})), 0);
  EXPECT_THAT(Read("/out"), testing::StartsWith(R"({"id":"x","verdict":"correct")"));
}

TEST_F(CommandTest, BrokenLineIsNamedAndExitOne) {
  ASSERT_TRUE(WriteFileAtomic(folder_ + "/in", "\n{").ok());
  EXPECT_EQ(ExitCode(Start({"grade", "--in", folder_ + "/in"})), 1);
  EXPECT_THAT(Read("/err"), testing::HasSubstr("line 2"));
  EXPECT_EQ(ExitCode(Start({"grade", "--in", folder_ + "/missing"})), 1);
  EXPECT_THAT(Read("/err"), testing::HasSubstr("/missing"));
}

}  // namespace command_test
}  // namespace ponder::verifier
