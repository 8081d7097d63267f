#include "tests/comm/conformance.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/philox.h"
#include "gtest/gtest.h"

namespace ponder::comm {
namespace {

template <typename T>
absl::Span<const uint8_t> Bytes(const std::vector<T>& x) {
  return {reinterpret_cast<const uint8_t*>(x.data()), x.size() * sizeof(T)};
}

// What rank r holds at place i: of very different magnitudes, so that another order of summation
// gives other bits.
template <typename T>
T Term(int r, int64_t i) {
  const T sign = (r + i) % 2 == 0 ? 1 : -1;
  return sign * (1 + static_cast<T>(i % 97)) / 3 * (r % 3 == 1 ? T(1e6) : T(1e-3));
}

template <typename T>
void CheckAllReduceSum(Group& group, int64_t n) {
  std::vector<T> x(n);
  for (int64_t i = 0; i < n; ++i) x[i] = Term<T>(group.rank(), i);
  ASSERT_EQ(group.AllReduceSum(absl::MakeSpan(x)), absl::OkStatus());
  std::vector<T> want(n);
  for (int64_t i = 0; i < n; ++i) {
    want[i] = Term<T>(0, i);
    for (int r = 1; r < group.size(); ++r) want[i] += Term<T>(r, i);
  }
  if (n == 0) return;
  // The bits, not the values.
  EXPECT_EQ(std::memcmp(x.data(), want.data(), n * sizeof(T)), 0) << n << " numbers";
}

void CheckBroadcast(Group& group, size_t n) {
  for (int root = 0; root < group.size(); ++root) {
    std::vector<uint8_t> x(n, 255);
    if (group.rank() == root) {
      for (size_t i = 0; i < n; ++i) x[i] = static_cast<uint8_t>(i * 7 + root);
    }
    ASSERT_EQ(group.Broadcast(absl::MakeSpan(x), root), absl::OkStatus());
    for (size_t i = 0; i < n; ++i) {
      ASSERT_EQ(x[i], static_cast<uint8_t>(i * 7 + root)) << i << " of " << n << " from " << root;
    }
  }
}

void CheckAllGather(Group& group, size_t n) {
  std::vector<uint8_t> in(n);
  for (size_t i = 0; i < n; ++i) in[i] = static_cast<uint8_t>(i * 3 + group.rank() * 50);
  std::vector<uint8_t> out(n * group.size());
  ASSERT_EQ(group.AllGather(in, absl::MakeSpan(out)), absl::OkStatus());
  for (size_t i = 0; i < out.size(); ++i) {
    ASSERT_EQ(out[i], static_cast<uint8_t>(i % n * 3 + i / n * 50)) << i << " of " << out.size();
  }
}

// Rank s sends count(s, r) floats to rank r; the i-th of them says where it comes from and where it
// goes.
template <typename Count>
void CheckAllToAll(Group& group, Count count) {
  const auto value = [](int s, int r, int64_t i) {
    return static_cast<float>(s + 10 * r + 100 * i);
  };
  std::vector<float> in, want;
  std::vector<int64_t> send_counts, recv_counts;
  for (int r = 0; r < group.size(); ++r) {
    send_counts.push_back(count(group.rank(), r));
    recv_counts.push_back(count(r, group.rank()));
    for (int64_t i = 0; i < send_counts[r]; ++i) in.push_back(value(group.rank(), r, i));
    for (int64_t i = 0; i < recv_counts[r]; ++i) want.push_back(value(r, group.rank(), i));
  }
  std::vector<float> out(want.size(), -1.0f);
  ASSERT_EQ(group.AllToAll(in, send_counts, absl::MakeSpan(out), recv_counts), absl::OkStatus());
  EXPECT_EQ(out, want);
}

// Long chains of operations of random kinds and sizes, without a barrier between them.
void CheckManyInARow(Group& group) {
  constexpr uint64_t kSeed = 20240611;
  SCOPED_TRACE(absl::StrCat("seed ", kSeed));
  Rng random(kSeed, "conformance");  // the same on every rank
  for (int turn = 0; turn < 200; ++turn) {
    SCOPED_TRACE(absl::StrCat("turn ", turn));
    const int64_t n = random.NextInt(1, 300);
    switch (random.NextInt(0, 4)) {
      case 0:
        CheckAllReduceSum<float>(group, n);
        break;
      case 1:
        CheckAllReduceSum<double>(group, n);
        break;
      case 2:
        CheckAllGather(group, n);
        break;
      case 3:
        CheckAllToAll(group, [n](int s, int r) { return (n * (s + 1) + 7 * r) % 23; });
        break;
      default:
        ASSERT_EQ(group.Barrier(), absl::OkStatus());
    }
    if (testing::Test::HasFatalFailure()) return;
  }
}

void CheckOperations(Group& group) {
  SCOPED_TRACE(absl::StrCat("rank ", group.rank(), " of ", group.size()));
  EXPECT_EQ(group.Barrier(), absl::OkStatus());
  for (const int64_t n : {0, 1, 2, 3, 1000, 300'001}) {
    CheckAllReduceSum<float>(group, n);
    CheckAllReduceSum<double>(group, n);
    CheckBroadcast(group, n);
    CheckAllGather(group, n);
  }
  CheckAllToAll(group, [](int s, int r) { return 5; });
  CheckAllToAll(group, [](int s, int r) { return 3 * s + r; });
  CheckAllToAll(group, [](int s, int r) { return 0; });
  CheckAllToAll(group, [](int s, int r) { return s == 0 && r != 0 ? 4 : 0; });
  CheckAllToAll(group, [](int s, int r) { return s == r ? 100'000 : 50'000 + r; });
  CheckManyInARow(group);
}

}  // namespace

void CheckConformance(Group& group) {
  CheckOperations(group);

  // Even and odd ranks, then everybody alone: the parts work, beside each other and after each
  // other, and the whole goes on.
  const int color = group.rank() % 2;
  auto part = group.Split(color);
  ASSERT_EQ(part.status(), absl::OkStatus());
  EXPECT_EQ((*part)->rank(), group.rank() / 2);
  EXPECT_EQ((*part)->size(), (group.size() + 1 - color) / 2);
  CheckOperations(**part);

  auto alone = (*part)->Split(group.rank());
  ASSERT_EQ(alone.status(), absl::OkStatus());
  EXPECT_EQ((*alone)->size(), 1);
  CheckOperations(**alone);

  auto same = group.Split(7);
  ASSERT_EQ(same.status(), absl::OkStatus());
  EXPECT_EQ((*same)->rank(), group.rank());
  EXPECT_EQ((*same)->size(), group.size());
  CheckOperations(**same);
  CheckOperations(group);
}

}  // namespace ponder::comm
