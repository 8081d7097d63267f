// Ledger: what became of every sample, in SQLite, so that `sqlite3 RUN/pool.db` answers questions
// about any of them.
//
//   select * from summary;                                   -- how many samples are in which
//   state, and why select * from steps order by step desc limit 5;          -- what each update was
//   trained on select * from groups where prompt_id = 'sum3-17';        -- what became of one
//   prompt select * from samples where state = 'dropped' and reason <> 'degenerate';
//
// A row is one sample, (prompt_id, sample_index), in one life of the run (`resume`: 0, then +1 each
// time the run is resumed). It is open, finished, training, trained or dropped. The schema itself
// refuses a second 'trained' row of a sample, a trained row without its step and a dropped row
// without its reason. What a resume rolls back stays, dropped as 'rolled_back'.
//
// A machine: owns the database; one thread at a time (its owner's lock). The entries of a call are
// written in one transaction: a crash leaves all or none. A full or unwritable disk is a Status
// that says so and leaves the ledger as it was.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/types.h"

namespace ponder::learner {

class Ledger {
 public:
  // Opens or makes the database, with its -wal and -shm files beside it. PermissionDenied: can't be
  // made or written. DataLoss: no ledger, or a corrupt one. FailedPrecondition: written by another
  // version of Ponder.
  static absl::StatusOr<std::unique_ptr<Ledger>> Open(const std::string& path);
  ~Ledger();

  // What decides which samples a group holds; a run keeps it for life.
  struct Identity {
    uint64_t seed = 0;
    int64_t group_size = 0;
    uint64_t prompts_hash = 0;
  };
  // Begins a life of the run in which `step` updates and every group before `next_group_id` are
  // done; whatever else the ledger holds is rolled back. FailedPrecondition: the run was begun with
  // another identity. DataLoss: a group before `next_group_id` is not done, so the ledger is older
  // than the checkpoint.
  absl::Status Start(const Identity& identity, int64_t step, int64_t next_group_id, absl::Time now);

  // --- entries: one change of one sample ---
  struct Leased {  // -> open, in an actor's hands; for the first time or again
    SampleKey key;
    int64_t group_id = 0;
    int64_t attempt = 0;
    std::string actor;
    int64_t least_version = 0;
    int64_t deadline_unix_ms = 0;
  };
  struct Returned {  // open, but in nobody's hands
    SampleKey key;
    std::string reason;
  };
  struct Finished {  // open -> finished
    SampleKey key;
    int64_t weight_version = 0;  // of its first token
    int64_t tokens = 0;
    Verdict::Outcome outcome = Verdict::Outcome::kError;
    double generate_seconds = 0;
  };
  struct Training {  // finished -> training
    SampleKey key;
  };
  struct Trained {  // training -> trained
    SampleKey key;
    int64_t step = 0;
  };
  struct Dropped {  // open, finished or training -> dropped
    SampleKey key;
    std::string reason;
  };
  using Entry = std::variant<Leased, Returned, Finished, Training, Trained, Dropped>;
  // All of them or none; synced to disk if the last is Trained, since a checkpoint builds upon it.
  // An entry that does not follow from its sample's state is Internal.
  absl::Status Write(absl::Span<const Entry> entries, absl::Time now);

  // The life of the run that Start began.
  int64_t life() const;

  struct Row {
    std::string state;
    int64_t attempt = 0;
    bool finished = false;  // was handed in, whatever became of it
  };
  // The sample in this life of the run.
  absl::StatusOr<std::optional<Row>> Find(const SampleKey& key);
  // 0, or one more than the last attempt in any life: what was leased in an earlier life can't pass
  // for a lease of this one.
  absl::StatusOr<int64_t> NextAttempt(const SampleKey& key);

 private:
  struct Database;
  explicit Ledger(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database_;
};

}  // namespace ponder::learner
