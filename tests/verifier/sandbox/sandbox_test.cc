// The sandbox, by what programs can do in it.
#include "verifier/sandbox/sandbox.h"

#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "verifier/sandbox/self_test.h"

namespace ponder::verifier {
namespace sandbox_test {

TEST(Sandbox, HoldsItsSelfTest) {
  auto sandbox = Sandbox::Make({});
  ASSERT_TRUE(sandbox.ok()) << sandbox.status();
  const absl::Status status = SelfTest(**sandbox, absl::InfiniteFuture());
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Sandbox, LeavesItsSelfTestWhenToldTo) {
  auto sandbox = Sandbox::Make({});
  ASSERT_TRUE(sandbox.ok()) << sandbox.status();
  const int stop = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
  ASSERT_GE(stop, 0);
  EXPECT_TRUE(absl::IsCancelled(SelfTest(**sandbox, absl::InfiniteFuture(), stop)));
  close(stop);
  EXPECT_TRUE(SelfTest(**sandbox, absl::InfiniteFuture()).ok());
}

// A program may close its standard input with more on the way: EPIPE for the writer, whose process
// must not be ended by the signal. (The default of SIGPIPE ends this test.)
TEST(Sandbox, OutlivesAProgramThatStopsListening) {
  auto sandbox = Sandbox::Make({});
  ASSERT_TRUE(sandbox.ok()) << sandbox.status();
  const std::string input(1 << 20, 'x');
  Program program;
  program.argv = {"/usr/bin/python3", "-c", "import os; os.close(0); print('deaf')"};
  program.input = input;
  auto result = (*sandbox)->Run(program, absl::InfiniteFuture(), -1);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "deaf\n");
}

absl::StatusOr<RunResult> RunPython(Sandbox& sandbox, const std::string& script) {
  Program program;
  program.argv = {"/usr/bin/python3", "-I", "-c", script};
  return sandbox.Run(program, absl::InfiniteFuture());
}

// The children of this process that bear a name.
std::vector<pid_t> Children(const std::string& name) {
  std::vector<pid_t> found;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream children(thread.path() / "children");
    for (pid_t child; children >> child;) {
      std::string its_name;
      std::getline(std::ifstream(absl::StrCat("/proc/", child, "/comm")), its_name);
      if (its_name == name) found.push_back(child);
    }
  }
  return found;
}

TEST(Sandbox, ReplacesTheProcessThatForksItsJails) {
  auto sandbox = Sandbox::Make({});
  ASSERT_TRUE(sandbox.ok()) << sandbox.status();
  ASSERT_TRUE(RunPython(**sandbox, "").ok());
  const std::vector<pid_t> first = Children("jail-starter");
  ASSERT_EQ(first.size(), 1u);
  ASSERT_EQ(kill(first[0], SIGKILL), 0);
  siginfo_t dead;  // a request that it took with it would not be asked again
  ASSERT_EQ(waitid(P_PID, first[0], &dead, WEXITED | WNOWAIT), 0);
  const auto result = RunPython(**sandbox, "print('still here')");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "still here\n");
  const std::vector<pid_t> second = Children("jail-starter");
  ASSERT_EQ(second.size(), 1u);
  EXPECT_NE(first, second);
  sandbox->reset();
  EXPECT_THAT(Children("jail-starter"), testing::IsEmpty());
}

TEST(Sandbox, RefusesFilesThatNoJailHasRoomFor) {
  auto sandbox = Sandbox::Make({});
  ASSERT_TRUE(sandbox.ok()) << sandbox.status();
  const std::string large(65 << 20, 'x');
  Program program;
  program.argv = {"/usr/bin/python3", "-c", ""};
  program.files.push_back({"large", large});
  EXPECT_EQ((*sandbox)->Run(program, absl::InfiniteFuture()).status().code(),
            absl::StatusCode::kInvalidArgument);
  program.files[0].contents = absl::string_view(large).substr(0, 8 << 20);
  program.argv[2] = "import os; print(os.path.getsize('/box/large'))";
  const auto result = (*sandbox)->Run(program, absl::InfiniteFuture());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, absl::StrCat(8 << 20, "\n"));
}

TEST(Sandbox, LeavesAProcessorToQuickWork) {
  QuickWork quick_work;
  Sandbox::Options options;
  options.quick_work = &quick_work;
  auto sandbox = Sandbox::Make(options);
  ASSERT_TRUE(sandbox.ok()) << sandbox.status();
  constexpr char kScript[] =
      "import os\n"
      "print(sorted(os.sched_getaffinity(0)))\n"
      "try: os.sched_setaffinity(0, range(os.cpu_count()))\n"
      "except PermissionError: print('refused')";
  cpu_set_t mine, after;
  ASSERT_EQ(sched_getaffinity(0, sizeof(mine), &mine), 0);
  std::vector<int> all, all_but_first;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &mine)) all.push_back(i);
  }
  // Not where nothing tells how long programs wait for a processor.
  const bool spares = all.size() > 1 && access("/proc/pressure/cpu", R_OK) == 0;
  all_but_first.assign(all.begin() + spares, all.end());
  const auto want = [](const std::vector<int>& processors) {
    return absl::StrCat("[", absl::StrJoin(processors, ", "), "]\nrefused\n");
  };
  auto result = RunPython(**sandbox, kScript);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, want(all));
  quick_work.Note();
  result = RunPython(**sandbox, kScript);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, want(all_but_first));
  ASSERT_EQ(sched_getaffinity(0, sizeof(after), &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&mine, &after)) << "the thread that watched is where it was";
}

TEST(Sandbox, RemovesTheGroupsOfVerifiersThatWereKilled) {
  std::string root = testing::TempDir() + "cgroups_XXXXXX";
  ASSERT_NE(mkdtemp(root.data()), nullptr);
  const pid_t dead = fork();
  if (dead == 0) _exit(0);
  ASSERT_EQ(waitpid(dead, nullptr, 0), dead);
  const std::string left_over = absl::StrCat("/ponder-", dead, "-0-1"),
                    ours = absl::StrCat("/ponder-", getpid(), "-0-1");
  for (const std::string& folder : {std::string("/memory"), std::string("/pids")}) {
    ASSERT_EQ(mkdir((root + folder).c_str(), 0700), 0);
    for (const std::string& group : {left_over, ours, std::string("/ponder-x"), std::string("/x")})
      ASSERT_EQ(mkdir((root + folder + group).c_str(), 0700), 0);
  }
  EXPECT_EQ(CgroupLayout::Find(root).RemoveLeftOvers(), 2);
  EXPECT_NE(access((root + "/memory" + left_over).c_str(), F_OK), 0);
  for (const std::string& folder : {std::string("/memory"), std::string("/pids")}) {
    for (const std::string& group : {ours, std::string("/ponder-x"), std::string("/x")})
      EXPECT_EQ(rmdir((root + folder + group).c_str()), 0) << group;
    rmdir((root + folder).c_str());
  }
  EXPECT_EQ(rmdir(root.c_str()), 0);
}

}  // namespace sandbox_test
}  // namespace ponder::verifier
