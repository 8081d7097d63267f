// The sandbox, by what programs can do in it.
#include "verifier/sandbox/sandbox.h"

#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
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
