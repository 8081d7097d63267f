#include "base/metrics.h"

#include <unistd.h>

#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/atomic_file.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/base/full_disk.h"

namespace ponder {
namespace metrics_test {

using Json = nlohmann::ordered_json;

class Metrics : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "metrics_test.jsonl";
    unlink(path_.c_str());
  }
  // Every line of the file, each of which must be whole.
  std::vector<Json> Lines() const {
    const auto text = ReadFile(path_);
    EXPECT_TRUE(text.ok()) << text.status();
    EXPECT_TRUE(text->empty() || text->back() == '\n');
    std::vector<Json> lines;
    for (const auto line : absl::StrSplit(*text, '\n', absl::SkipEmpty()))
      lines.push_back(Json::parse(line));
    return lines;
  }

  std::string path_;
};

TEST_F(Metrics, AppendsObjectsWithTheirTime) {
  for (int run = 0; run < 2; ++run) {
    auto log = MetricsLog::Open(path_);
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_TRUE((*log)->Write({{"step", run}, {"text", "a\nb"}}).ok());
  }
  const std::vector<Json> lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["step"], 0);
  EXPECT_EQ(lines[0].begin().key(), "step");
  EXPECT_EQ(lines[0]["text"], "a\nb");
  for (const Json& line : lines) EXPECT_GT(line["time"].get<double>(), 1e9);
}

TEST_F(Metrics, WhatIsNoNumberBecomesNull) {
  auto log = MetricsLog::Open(path_);
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE((*log)
                  ->Write({{"nan", std::numeric_limits<double>::quiet_NaN()},
                           {"inf", std::numeric_limits<double>::infinity()},
                           {"bad text", "\xff"}})
                  .ok());
  EXPECT_TRUE(Lines()[0]["nan"].is_null());
  EXPECT_TRUE(Lines()[0]["inf"].is_null());
}

TEST_F(Metrics, OpeningCutsATornLastLine) {
  const std::vector<std::pair<std::string, size_t>> cases = {
      {"{\"step\":1}\n{\"step\":2}\n{\"st", 2},
      {"{\"step\":1}\n", 1},
      {"{\"st", 0},
      {"", 0},
      {std::string(100000, 'x'), 0}};
  for (const auto& [text, whole] : cases) {
    ASSERT_TRUE(WriteFileAtomic(path_, text).ok());
    auto log = MetricsLog::Open(path_);
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_TRUE((*log)->Write({{"step", "new"}}).ok());
    const std::vector<Json> lines = Lines();
    ASSERT_EQ(lines.size(), whole + 1) << text;
    EXPECT_EQ(lines.back()["step"], "new");
  }
}

TEST_F(Metrics, AFullDiskIsReportedAndTearsNoLine) {
  auto log = MetricsLog::Open(path_);
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE((*log)->Write({{"step", 1}}).ok());
  {
    FullDisk full(100);
    const absl::Status status = (*log)->Write({{"step", 2}, {"text", std::string(1000, 'x')}});
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  }
  // There is room again: the log goes on where it was.
  ASSERT_TRUE((*log)->Write({{"step", 3}}).ok());
  const std::vector<Json> lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1]["step"], 3);
}

TEST_F(Metrics, LinesOfManyThreadsStayWhole) {
  auto log = MetricsLog::Open(path_);
  ASSERT_TRUE(log.ok());
  constexpr int kThreads = 4, kLines = 200;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kLines; ++i) {
        EXPECT_TRUE(
            (*log)->Write({{"thread", t}, {"line", i}, {"text", std::string(i, 'x')}}).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<int> next(kThreads, 0);
  for (const Json& line : Lines()) EXPECT_EQ(line["line"], next[line["thread"].get<int>()]++);
  EXPECT_EQ(next, std::vector<int>(kThreads, kLines));
}

TEST_F(Metrics, AFolderThatIsNotThereIsNamed) {
  const auto log = MetricsLog::Open("/nowhere/metrics.jsonl");
  EXPECT_EQ(log.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(log.status().message().find("/nowhere/metrics.jsonl"), absl::string_view::npos);
}

}  // namespace metrics_test
}  // namespace ponder
