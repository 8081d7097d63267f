// What the tests of the pool share: a folder, prompts, samples whose verdicts are a function of
// their key, and SQL.
#pragma once

#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/philox.h"
#include "base/types.h"
#include "gtest/gtest.h"
#include "learner/ledger.h"
#include "learner/sample_pool.h"

namespace ponder::learner {

inline std::vector<Prompt> MakePrompts(int64_t count) {
  std::vector<Prompt> prompts;
  for (int64_t i = 0; i < count; ++i) {
    prompts.push_back({absl::StrCat("p", i),
                       "math",
                       {{"user", absl::StrCat(i, "+1=?")}},
                       absl::StrCat(i + 1),
                       "test",
                       1});
  }
  return prompts;
}

inline Sample Answer(const Lease& lease, int64_t weight_version, Verdict::Outcome outcome) {
  Sample sample;
  sample.rollout.key = lease.key;
  sample.rollout.group_id = lease.group_id;
  sample.rollout.attempt = lease.attempt;
  sample.rollout.prompt_tokens = {1};
  sample.rollout.tokens = {2, 3};
  sample.rollout.logprobs = {-1, -2};
  sample.rollout.segments = {{weight_version, 0}};
  sample.verdict.outcome = outcome;
  sample.verdict.reason = outcome == Verdict::Outcome::kError ? "sandbox is gone" : "";
  return sample;
}

// Right or wrong, as a function of the key alone; about half of all groups of four agree.
inline Verdict::Outcome OutcomeOf(const SampleKey& key) {
  const bool easy = StableHash(key.prompt_id) % 2 == 0;
  const uint64_t draw = StableHash(absl::StrCat(key.prompt_id, "/", key.sample_index)) % 8;
  return draw < (easy ? 7u : 4u) ? Verdict::Outcome::kCorrect : Verdict::Outcome::kWrong;
}

inline Sample Answer(const Lease& lease) {
  return Answer(lease, lease.least_version, OutcomeOf(lease.key));
}

// Differing verdicts within each group: even samples are right.
inline Sample MixedAnswer(const Lease& lease) {
  return Answer(
      lease, lease.least_version,
      lease.key.sample_index % 2 == 0 ? Verdict::Outcome::kCorrect : Verdict::Outcome::kWrong);
}

class PoolFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/poolXXXXXX";
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path() const { return folder_ + "/pool.db"; }

  absl::StatusOr<std::unique_ptr<SamplePool>> TryMakePool(const SamplePool::Options& options,
                                                          std::vector<Prompt> prompts,
                                                          const SamplePool::Position& start = {},
                                                          absl::Time (*clock)() = nullptr) {
    auto ledger = Ledger::Open(path());
    if (!ledger.ok()) return ledger.status();
    return SamplePool::Make(options, std::move(prompts), *std::move(ledger), start, clock);
  }
  absl::StatusOr<std::unique_ptr<SamplePool>> TryMakePool(const SamplePool::Options& options,
                                                          int64_t prompts,
                                                          const SamplePool::Position& start = {},
                                                          absl::Time (*clock)() = nullptr) {
    return TryMakePool(options, MakePrompts(prompts), start, clock);
  }
  std::unique_ptr<SamplePool> MakePool(const SamplePool::Options& options, int64_t prompts,
                                       const SamplePool::Position& start = {},
                                       absl::Time (*clock)() = nullptr) {
    auto pool = TryMakePool(options, prompts, start, clock);
    EXPECT_TRUE(pool.ok()) << pool.status();
    return *std::move(pool);
  }

  // Every row as "a|b|c".
  std::vector<std::string> Ask(const std::string& sql) const {
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open(path().c_str(), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    std::vector<std::string> rows;
    char* error = nullptr;
    sqlite3_exec(
        db, sql.c_str(),
        [](void* out, int n, char** values, char**) {
          std::string row;
          for (int i = 0; i < n; ++i) {
            absl::StrAppend(&row, i > 0 ? "|" : "", values[i] == nullptr ? "-" : values[i]);
          }
          static_cast<std::vector<std::string>*>(out)->push_back(row);
          return 0;
        },
        &rows, &error);
    if (error != nullptr) rows.push_back(absl::StrCat("error: ", error));
    sqlite3_free(error);
    sqlite3_close(db);
    return rows;
  }

  std::string folder_;
};

}  // namespace ponder::learner
