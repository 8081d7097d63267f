// The ledger: what a person reads with sqlite3 is what was written, and what must not be can't be.
#include "learner/ledger.h"

#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/learner/pool_fixture.h"

namespace ponder::learner {
namespace ledger_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1700000000);
const SampleKey kFirst{"sum3-1", 0};
const SampleKey kSecond{"sum3-1", 1};
const Ledger::Identity kIdentity{7, 2, 99};

class LedgerTest : public PoolFixture {
 protected:
  std::unique_ptr<Ledger> OpenAndStart(int64_t step = 0, int64_t next_group_id = 0) {
    auto ledger = Ledger::Open(path());
    EXPECT_TRUE(ledger.ok()) << ledger.status();
    const absl::Status started = (*ledger)->Start(kIdentity, step, next_group_id, kNow);
    EXPECT_TRUE(started.ok()) << started;
    return *std::move(ledger);
  }

  static Ledger::Leased Lease(const SampleKey& key, int64_t group, int64_t attempt = 0) {
    return {key, group, attempt, "actor.0", 3, 1700000120000};
  }
  static Ledger::Finished Finish(const SampleKey& key, Verdict::Outcome outcome) {
    return {key, 3, 17, outcome, 0.5};
  }
};

TEST_F(LedgerTest, TellsTheStoryOfASample) {
  auto ledger = OpenAndStart();
  ASSERT_TRUE(ledger->Write({Lease(kFirst, 0), Lease(kSecond, 0)}, kNow).ok());
  EXPECT_THAT(Ask("select state, count(*) from samples group by state"), ElementsAre("open|2"));
  ASSERT_TRUE(ledger->Write({Ledger::Returned{kFirst, "lease_expired"}}, kNow).ok());
  EXPECT_THAT(Ask("select actor, return_reason from samples where sample_index = 0"),
              ElementsAre("-|lease_expired"));
  ASSERT_TRUE(ledger->Write({Lease(kFirst, 0, 1)}, kNow).ok());
  ASSERT_TRUE(ledger
                  ->Write({Finish(kFirst, Verdict::Outcome::kCorrect),
                           Finish(kSecond, Verdict::Outcome::kWrong)},
                          kNow)
                  .ok());
  ASSERT_TRUE(ledger->Write({Ledger::Training{kFirst}, Ledger::Training{kSecond}}, kNow).ok());
  ASSERT_TRUE(ledger->Write({Ledger::Trained{kFirst, 1}, Ledger::Trained{kSecond, 1}}, kNow).ok());
  EXPECT_THAT(Ask("select prompt_id, sample_index, resume, group_id, attempt, actor, state, "
                  "leased_version, weight_version, tokens, outcome, trained_step, ended_ms "
                  "from samples order by sample_index"),
              ElementsAre("sum3-1|0|0|0|1|actor.0|trained|3|3|17|correct|1|1700000000000",
                          "sum3-1|1|0|0|0|actor.0|trained|3|3|17|wrong|1|1700000000000"));
  EXPECT_THAT(Ask("select * from summary"), ElementsAre("0|trained|-|2|34|0.5"));
  EXPECT_THAT(Ask("select group_id, prompt_id, samples, correct, states, trained_step from groups"),
              ElementsAre("0|sum3-1|2|1|trained|1"));
  EXPECT_THAT(Ask("select step, groups, samples, accuracy, tokens_mean, oldest_version from steps"),
              ElementsAre("1|1|2|0.5|17.0|3"));
}

TEST_F(LedgerTest, RefusesWhatDoesNotFollow) {
  auto ledger = OpenAndStart();
  const auto code = [&](const Ledger::Entry& entry) { return ledger->Write({entry}, kNow).code(); };
  EXPECT_EQ(code(Ledger::Returned{kFirst, "x"}), absl::StatusCode::kInternal) << "never leased";
  ASSERT_TRUE(ledger->Write({Lease(kFirst, 0)}, kNow).ok());
  EXPECT_EQ(code(Lease(kFirst, 0, 0)), absl::StatusCode::kInternal) << "the same attempt again";
  EXPECT_EQ(code(Ledger::Training{kFirst}), absl::StatusCode::kInternal);
  EXPECT_EQ(code(Ledger::Trained{kFirst, 1}), absl::StatusCode::kInternal);
  ASSERT_TRUE(ledger->Write({Finish(kFirst, Verdict::Outcome::kWrong)}, kNow).ok());
  EXPECT_EQ(code(Finish(kFirst, Verdict::Outcome::kWrong)), absl::StatusCode::kInternal);
  EXPECT_EQ(code(Lease(kFirst, 0, 1)), absl::StatusCode::kInternal) << "finished";
  ASSERT_TRUE(ledger->Write({Ledger::Dropped{kFirst, "degenerate"}}, kNow).ok());
  EXPECT_EQ(code(Ledger::Dropped{kFirst, "degenerate"}), absl::StatusCode::kInternal);
  EXPECT_EQ(code(Ledger::Training{kFirst}), absl::StatusCode::kInternal);
}

TEST_F(LedgerTest, ACallIsWrittenWholeOrNotAtAll) {
  auto ledger = OpenAndStart();
  EXPECT_FALSE(ledger->Write({Lease(kFirst, 0), Ledger::Training{kSecond}}, kNow).ok());
  EXPECT_THAT(Ask("select count(*) from samples"), ElementsAre("0"));
  EXPECT_TRUE(ledger->Write({Lease(kFirst, 0)}, kNow).ok()) << "usable after a failure";
}

TEST_F(LedgerTest, TheSchemaItselfRefusesDoubleTraining) {
  auto ledger = OpenAndStart();
  ASSERT_TRUE(ledger
                  ->Write({Lease(kFirst, 0), Finish(kFirst, Verdict::Outcome::kCorrect),
                           Ledger::Training{kFirst}, Ledger::Trained{kFirst, 1}},
                          kNow)
                  .ok());
  const std::string again =
      "insert into lives select 1, started_ms, step, next_group_id, seed, group_size, "
      "prompts_hash from lives; "
      "insert into samples select prompt_id, sample_index, 1, group_id, attempt, actor, state, "
      "reason, return_reason, leased_version, weight_version, tokens, outcome, generate_seconds, "
      "trained_step, leased_ms, deadline_ms, finished_ms, ended_ms from samples";
  EXPECT_THAT(Ask(again), ElementsAre(HasSubstr("UNIQUE")));
  EXPECT_THAT(Ask("update samples set trained_step = null"), ElementsAre(HasSubstr("CHECK")));
  EXPECT_THAT(Ask("update samples set state = 'dropped'"), ElementsAre(HasSubstr("CHECK")));
  EXPECT_THAT(Ask("update samples set state = 'lost'"), ElementsAre(HasSubstr("CHECK")));
}

TEST_F(LedgerTest, AResumeRollsBackWhatTheCheckpointDoesNotHold) {
  {
    auto ledger = OpenAndStart();
    const SampleKey kept{"sum3-0", 0}, open{"sum3-2", 0};
    for (const SampleKey& key : {kept, kFirst}) {
      const int64_t step = key == kept ? 1 : 2;
      ASSERT_TRUE(ledger
                      ->Write({Lease(key, step - 1), Finish(key, Verdict::Outcome::kCorrect),
                               Ledger::Training{key}, Ledger::Trained{key, step}},
                              kNow)
                      .ok());
    }
    ASSERT_TRUE(ledger->Write({Lease(open, 2)}, kNow).ok());
  }
  auto ledger = OpenAndStart(/*step=*/1, /*next_group_id=*/1);
  EXPECT_THAT(Ask("select prompt_id, state, reason, trained_step from samples order by group_id"),
              ElementsAre("sum3-0|trained|-|1", "sum3-1|dropped|rolled_back|2",
                          "sum3-2|dropped|rolled_back|-"));
  EXPECT_FALSE(ledger->Find(kFirst)->has_value()) << "nothing of it in this life yet";
  EXPECT_EQ(*ledger->NextAttempt(kFirst), 1);
  EXPECT_EQ(*ledger->NextAttempt({"sum3-9", 0}), 0);
  ASSERT_TRUE(ledger
                  ->Write({Lease(kFirst, 1, 1), Finish(kFirst, Verdict::Outcome::kCorrect),
                           Ledger::Training{kFirst}, Ledger::Trained{kFirst, 2}},
                          kNow)
                  .ok())
      << "trained again, once";
  const auto row = ledger->Find(kFirst);
  ASSERT_TRUE(row.ok() && row->has_value());
  EXPECT_EQ((*row)->state, "trained");
  EXPECT_EQ((*row)->attempt, 1);
  EXPECT_TRUE((*row)->finished);
  EXPECT_THAT(Ask("select resume, step, next_group_id from lives"), ElementsAre("0|0|0", "1|1|1"));
}

TEST_F(LedgerTest, RefusesToResumeAnotherRun) {
  { OpenAndStart(); }
  auto ledger = Ledger::Open(path());
  ASSERT_TRUE(ledger.ok());
  const auto refused = (*ledger)->Start({7, 4, 99}, 0, 0, kNow);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("group_size 2, not 4"));
}

TEST_F(LedgerTest, RefusesToRunBehindItsCheckpoint) {
  {
    auto ledger = OpenAndStart();
    ASSERT_TRUE(ledger->Write({Lease(kFirst, 0)}, kNow).ok());
  }
  auto ledger = Ledger::Open(path());
  ASSERT_TRUE(ledger.ok());
  EXPECT_EQ((*ledger)->Start(kIdentity, 1, 1, kNow).code(), absl::StatusCode::kDataLoss);
}

TEST_F(LedgerTest, RefusesForeignAndBrokenFiles) {
  std::ofstream(path()) << "this is not a database, but long enough to look like a header of one?";
  EXPECT_EQ(Ledger::Open(path()).status().code(), absl::StatusCode::kDataLoss);
  std::filesystem::remove(path());
  Ask("create table cats (name text)");
  EXPECT_EQ(Ledger::Open(path()).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Ledger::Open(folder_ + "/nowhere/pool.db").status().code(),
            absl::StatusCode::kPermissionDenied);
}

// A file system that says what it is told to say: SQLite's own, with writes to the write-ahead log
// that fail.
class FailingDisk {
 public:
  FailingDisk() {
    base_ = sqlite3_vfs_find(nullptr);
    vfs_ = *base_;
    vfs_.zName = "failing";
    vfs_.xOpen = [](sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
      const int code = base_->xOpen(base_, name, file, flags, out);
      if (code != SQLITE_OK || (flags & SQLITE_OPEN_WAL) == 0) return code;
      if (methods_.xWrite == nullptr) {
        methods_ = *file->pMethods;
        methods_.xWrite = [](sqlite3_file* f, const void* data, int n, sqlite3_int64 at) {
          return error_ != SQLITE_OK ? error_ : write_(f, data, n, at);
        };
        write_ = file->pMethods->xWrite;
      }
      file->pMethods = &methods_;
      return code;
    };
    sqlite3_vfs_register(&vfs_, /*makeDflt=*/1);
  }
  ~FailingDisk() {
    error_ = SQLITE_OK;
    sqlite3_vfs_unregister(&vfs_);
  }
  void Fail(int error) { error_ = error; }

 private:
  static inline sqlite3_vfs* base_;
  static inline sqlite3_io_methods methods_{};
  static inline int (*write_)(sqlite3_file*, const void*, int, sqlite3_int64);
  static inline int error_ = SQLITE_OK;
  sqlite3_vfs vfs_;
};

TEST_F(LedgerTest, AFullDiskSaysSoAndLosesNothing) {
  FailingDisk disk;
  auto ledger = OpenAndStart();
  ASSERT_TRUE(ledger->Write({Lease(kFirst, 0)}, kNow).ok());
  disk.Fail(SQLITE_FULL);
  const absl::Status full = ledger->Write({Lease(kSecond, 0)}, kNow);
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), HasSubstr(path()));
  EXPECT_THAT(std::string(full.message()), HasSubstr("free some space"));
  disk.Fail(SQLITE_READONLY);
  EXPECT_EQ(ledger->Write({Lease(kSecond, 0)}, kNow).code(), absl::StatusCode::kPermissionDenied);
  disk.Fail(SQLITE_OK);
  EXPECT_FALSE(ledger->Find(kSecond)->has_value());
  EXPECT_TRUE(ledger->Write({Lease(kSecond, 0)}, kNow).ok());
  EXPECT_THAT(Ask("select count(*) from samples"), ElementsAre("2"));
}

}  // namespace ledger_test
}  // namespace ponder::learner
