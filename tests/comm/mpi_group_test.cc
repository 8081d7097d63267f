// Runs under mpirun: the conformance suite, and with --hang a rank that never comes.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "comm/group.h"
#include "gtest/gtest.h"
#include "tests/comm/conformance.h"

namespace ponder::comm {
namespace {

Group* world = nullptr;

TEST(MpiGroup, Conforms) {
  ASSERT_GT(world->size(), 1) << "to be run by mpirun -n 2 or more";
  CheckConformance(*world);
}

// The last rank stays away. The others say so within the timeout, and mpirun ends the rank that
// hangs.
int Hang(Group& group) {
  if (group.rank() == group.size() - 1) {
    for (;;) pause();
  }
  double x = 1;
  const absl::Status status = group.AllReduceSum(absl::MakeSpan(&x, 1));
  std::fprintf(stderr, "rank %d: %s\n", group.rank(), status.ToString().c_str());
  const absl::Status again = group.Barrier();
  return again == status ? 3 : 4;
}

}  // namespace
}  // namespace ponder::comm

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const bool hang = argc > 1 && absl::string_view(argv[1]) == "--hang";
  ponder::comm::GroupOptions options;
  options.timeout = hang ? absl::Milliseconds(500) : absl::Minutes(1);
  absl::StatusOr<std::unique_ptr<ponder::comm::Group>> group = ponder::comm::MakeMpiGroup(options);
  if (!group.ok()) {
    std::fprintf(stderr, "%s\n", group.status().ToString().c_str());
    return 1;
  }
  if (hang) return ponder::comm::Hang(**group);
  ponder::comm::world = group->get();
  return RUN_ALL_TESTS();
}
