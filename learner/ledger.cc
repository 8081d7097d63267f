#include "learner/ledger.h"

#include <sqlite3.h>

#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "learner/ledger_schema.h"

namespace ponder::learner {
namespace {

constexpr int kBusyMs = 10000;  // how long another process may hold the write lock

struct Connection {
  sqlite3* db = nullptr;
  ~Connection() { sqlite3_close(db); }
};

// A prepared statement, bound and stepped anew at each use.
class Statement {
 public:
  Statement() = default;
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  int Prepare(sqlite3* db, const char* sql) {
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
  }
  // One step: SQLITE_ROW, SQLITE_DONE or an error. Reset() ends it.
  template <typename... Values>
  int Step(const Values&... values) {
    int index = 0;
    (Bind(++index, values), ...);
    return sqlite3_step(statement_);
  }
  void Reset() { sqlite3_reset(statement_); }

  bool IsNull(int column) { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  int64_t Integer(int column) { return sqlite3_column_int64(statement_, column); }
  std::string Text(int column) {
    return reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  }

 private:
  void Bind(int index, int64_t value) { sqlite3_bind_int64(statement_, index, value); }
  void Bind(int index, double value) { sqlite3_bind_double(statement_, index, value); }
  void Bind(int index, const std::string& value) {
    sqlite3_bind_text64(statement_, index, value.data(), value.size(), SQLITE_TRANSIENT,
                        SQLITE_UTF8);
  }
  void Bind(int index, const char* value) { Bind(index, std::string(value)); }

  sqlite3_stmt* statement_ = nullptr;
};

int64_t Signed(uint64_t value) { return static_cast<int64_t>(value); }

}  // namespace

// The connection, its statements and the life that is being written. Members are destroyed from the
// last to the first.
struct Ledger::Database {
  std::string path;
  Connection connection;
  int64_t resume = -1;
  Statement lease, give_back, finish, train, trained, drop, find, last_attempt;

  absl::Status Open();
  absl::Status Prepare();
  absl::Status Start(const Identity& identity, int64_t step, int64_t next_group_id, int64_t now_ms);
  absl::Status WriteOne(const Entry& entry, int64_t now_ms);

  // SQLite's last error as a Status, with what to do about it.
  absl::Status Error(absl::string_view doing) const;
  absl::Status Execute(const char* sql);
  // One integer. 0 where there is no row or the value is null.
  template <typename... Values>
  absl::StatusOr<int64_t> Query(const char* sql, const Values&... values);
  // Runs `statement`, which must change one row.
  template <typename... Values>
  absl::Status ChangeOne(const SampleKey& key, const char* doing, Statement& statement,
                         const Values&... values);
  // begin, body, commit; rolls back on any failure.
  template <typename Body>
  absl::Status Transaction(const Body& body);
};

absl::Status Ledger::Database::Error(absl::string_view doing) const {
  sqlite3* db = connection.db;
  const int code = sqlite3_extended_errcode(db) & 0xFF;
  const std::string message = absl::StrCat("ledger ", path, ": ", doing, ": ", sqlite3_errmsg(db));
  const int cause = sqlite3_system_errno(db);
  if (code == SQLITE_FULL || (code == SQLITE_IOERR && (cause == ENOSPC || cause == EDQUOT))) {
    return absl::ResourceExhaustedError(
        absl::StrCat(message, "; free some space, then resume the run"));
  }
  switch (code) {
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return absl::PermissionDeniedError(
          absl::StrCat(message, "; the file and its folder must be writable"));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(absl::StrCat(message, "; move it away or restore it"));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(
          absl::StrCat(message, "; another process is writing to it: end that one"));
    case SQLITE_IOERR:
      return absl::UnavailableError(absl::StrCat(message, "; check the disk"));
    default:
      return absl::InternalError(message);
  }
}

absl::Status Ledger::Database::Execute(const char* sql) {
  const int code = sqlite3_exec(connection.db, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error("writing");
}

template <typename... Values>
absl::StatusOr<int64_t> Ledger::Database::Query(const char* sql, const Values&... values) {
  Statement statement;
  if (statement.Prepare(connection.db, sql) != SQLITE_OK) return Error("reading");
  const int code = statement.Step(values...);
  if (code == SQLITE_ROW) return statement.Integer(0);
  if (code == SQLITE_DONE) return 0;
  return Error("reading");
}

template <typename... Values>
absl::Status Ledger::Database::ChangeOne(const SampleKey& key, const char* doing,
                                         Statement& statement, const Values&... values) {
  const auto reset = absl::MakeCleanup([&] { statement.Reset(); });
  if (statement.Step(values...) != SQLITE_DONE) {
    return Error(absl::StrCat(doing, " ", key.prompt_id, " #", key.sample_index));
  }
  if (sqlite3_changes(connection.db) != 1) {
    return absl::InternalError(absl::StrCat("ledger ", path, ": ", doing, " ", key.prompt_id, " #",
                                            key.sample_index,
                                            " does not follow from its state there"));
  }
  return absl::OkStatus();
}

template <typename Body>
absl::Status Ledger::Database::Transaction(const Body& body) {
  PONDER_RETURN_IF_ERROR(Execute("begin immediate"));
  absl::Status status = body();
  if (status.ok()) status = Execute("commit");
  if (!status.ok()) {
    // SQLite may have rolled back by itself; then this fails and there is nothing to undo.
    sqlite3_exec(connection.db, "rollback", nullptr, nullptr, nullptr);
  }
  return status;
}

absl::Status Ledger::Database::Open() {
  if (sqlite3_open_v2(path.c_str(), &connection.db,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                      nullptr) != SQLITE_OK) {
    return Error("opening");
  }
  sqlite3_busy_timeout(connection.db, kBusyMs);
  PONDER_RETURN_IF_ERROR(
      Execute("pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on"));
  PONDER_RETURN_IF_ERROR(Transaction([&]() -> absl::Status {
    PONDER_ASSIGN_OR_RETURN(const int64_t version, Query("pragma user_version"));
    if (version == kLedgerVersion) return absl::OkStatus();
    PONDER_ASSIGN_OR_RETURN(const int64_t tables, Query("select count(*) from sqlite_schema"));
    if (version != 0 || tables != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("ledger ", path, ": it has version ", version, ", and this Ponder writes ",
                       kLedgerVersion, "; resume the run with the Ponder that began it"));
    }
    PONDER_RETURN_IF_ERROR(Execute(kLedgerSchema));
    return Execute(absl::StrCat("pragma user_version = ", kLedgerVersion).c_str());
  }));
  return Prepare();
}

absl::Status Ledger::Database::Prepare() {
#define ROW_OF(resume, id, index) \
  " where prompt_id = ?" #id " and sample_index = ?" #index " and resume = ?" #resume
  const std::pair<Statement*, const char*> statements[] = {
      {&lease,
       "insert into samples (resume, prompt_id, sample_index, group_id, attempt, actor, state, "
       "leased_version, deadline_ms, leased_ms) values (?1, ?2, ?3, ?4, ?5, ?6, 'open', ?7, ?8, "
       "?9) on conflict (prompt_id, sample_index, resume) do update set attempt = excluded.attempt,"
       " actor = excluded.actor, leased_version = excluded.leased_version, deadline_ms = "
       "excluded.deadline_ms, leased_ms = excluded.leased_ms where state = 'open' and attempt < "
       "excluded.attempt and group_id = excluded.group_id"},
      {&give_back,
       "update samples set actor = null, return_reason = ?4" ROW_OF(1, 2, 3) " and state = 'open'"},
      {&finish,
       "update samples set state = 'finished', weight_version = ?4, tokens = ?5, outcome = ?6, "
       "generate_seconds = ?7, finished_ms = ?8" ROW_OF(1, 2, 3) " and state = 'open'"},
      {&train, "update samples set state = 'training'" ROW_OF(1, 2, 3) " and state = 'finished'"},
      {&trained, "update samples set state = 'trained', trained_step = ?4, ended_ms = ?5" ROW_OF(
                     1, 2, 3) " and state = 'training'"},
      {&drop, "update samples set state = 'dropped', reason = ?4, ended_ms = ?5" ROW_OF(
                  1, 2, 3) " and state in ('open', 'finished', 'training')"},
      {&find, "select state, attempt, finished_ms from samples" ROW_OF(1, 2, 3)},
      {&last_attempt,
       "select max(attempt) from samples where prompt_id = ?1 and sample_index = ?2"},
  };
#undef ROW_OF
  for (const auto& [statement, sql] : statements) {
    if (statement->Prepare(connection.db, sql) != SQLITE_OK) return Error("preparing");
  }
  return absl::OkStatus();
}

absl::Status Ledger::Database::Start(const Identity& identity, int64_t step, int64_t next_group_id,
                                     int64_t now_ms) {
  PONDER_ASSIGN_OR_RETURN(resume, Query("select count(*) from lives"));
  const std::pair<const char*, int64_t> facts[] = {{"seed", Signed(identity.seed)},
                                                   {"group_size", identity.group_size},
                                                   {"prompts_hash", Signed(identity.prompts_hash)}};
  for (const auto& [name, value] : facts) {
    if (resume == 0) break;
    PONDER_ASSIGN_OR_RETURN(
        const int64_t begun,
        Query(absl::StrCat("select ", name, " from lives where resume = 0").c_str()));
    if (begun != value) {
      return absl::FailedPreconditionError(
          absl::StrCat("ledger ", path, ": the run was begun with ", name, " ", begun, ", not ",
                       value, "; resume it as it was begun, or start a new run in another folder"));
    }
  }
  PONDER_ASSIGN_OR_RETURN(const int64_t undone,
                          Query("select count(*) from samples where group_id < ?1 and state not in "
                                "('trained', 'dropped')",
                                next_group_id));
  if (undone != 0) {
    return absl::DataLossError(absl::StrCat(
        "ledger ", path, ": ", undone, " samples of groups before ", next_group_id,
        " are not done, though the checkpoint of step ", step,
        " says so: the ledger is older than the checkpoint; resume from an earlier one"));
  }
  Statement roll_back, begin;
  if (roll_back.Prepare(connection.db,
                        "update samples set state = 'dropped', reason = 'rolled_back', "
                        "ended_ms = ?1 where (group_id >= ?2 or trained_step > ?3) and "
                        "reason is not 'rolled_back'") != SQLITE_OK ||
      roll_back.Step(now_ms, next_group_id, step) != SQLITE_DONE) {
    return Error("rolling back");
  }
  if (begin.Prepare(connection.db, "insert into lives values (?1, ?2, ?3, ?4, ?5, ?6, ?7)") !=
          SQLITE_OK ||
      begin.Step(resume, now_ms, step, next_group_id, facts[0].second, facts[1].second,
                 facts[2].second) != SQLITE_DONE) {
    return Error("starting");
  }
  return absl::OkStatus();
}

absl::Status Ledger::Database::WriteOne(const Entry& entry, int64_t now_ms) {
  struct Visitor {
    Database& db;
    int64_t now_ms;
    absl::Status operator()(const Leased& e) {
      return db.ChangeOne(e.key, "leasing", db.lease, db.resume, e.key.prompt_id,
                          e.key.sample_index, e.group_id, e.attempt, e.actor, e.least_version,
                          e.deadline_unix_ms, now_ms);
    }
    absl::Status operator()(const Returned& e) {
      return db.ChangeOne(e.key, "returning", db.give_back, db.resume, e.key.prompt_id,
                          e.key.sample_index, e.reason);
    }
    absl::Status operator()(const Finished& e) {
      return db.ChangeOne(e.key, "finishing", db.finish, db.resume, e.key.prompt_id,
                          e.key.sample_index, e.weight_version, e.tokens, OutcomeName(e.outcome),
                          e.generate_seconds, now_ms);
    }
    absl::Status operator()(const Training& e) {
      return db.ChangeOne(e.key, "taking", db.train, db.resume, e.key.prompt_id,
                          e.key.sample_index);
    }
    absl::Status operator()(const Trained& e) {
      return db.ChangeOne(e.key, "retiring", db.trained, db.resume, e.key.prompt_id,
                          e.key.sample_index, e.step, now_ms);
    }
    absl::Status operator()(const Dropped& e) {
      return db.ChangeOne(e.key, "dropping", db.drop, db.resume, e.key.prompt_id,
                          e.key.sample_index, e.reason, now_ms);
    }
  };
  return std::visit(Visitor{*this, now_ms}, entry);
}

absl::StatusOr<std::unique_ptr<Ledger>> Ledger::Open(const std::string& path) {
  auto database = std::make_unique<Database>();
  database->path = path;
  PONDER_RETURN_IF_ERROR(database->Open());
  return std::unique_ptr<Ledger>(new Ledger(std::move(database)));
}

Ledger::Ledger(std::unique_ptr<Database> database) : database_(std::move(database)) {}
Ledger::~Ledger() = default;

absl::Status Ledger::Start(const Identity& identity, int64_t step, int64_t next_group_id,
                           absl::Time now) {
  return database_->Transaction(
      [&] { return database_->Start(identity, step, next_group_id, absl::ToUnixMillis(now)); });
}

absl::Status Ledger::Write(absl::Span<const Entry> entries, absl::Time now) {
  if (entries.empty()) return absl::OkStatus();
  const bool durable = std::holds_alternative<Trained>(entries.back());
  if (durable) PONDER_RETURN_IF_ERROR(database_->Execute("pragma synchronous = full"));
  const absl::Status status = database_->Transaction([&]() -> absl::Status {
    for (const Entry& entry : entries) {
      PONDER_RETURN_IF_ERROR(database_->WriteOne(entry, absl::ToUnixMillis(now)));
    }
    return absl::OkStatus();
  });
  PONDER_RETURN_IF_ERROR(status);
  return durable ? database_->Execute("pragma synchronous = normal") : absl::OkStatus();
}

int64_t Ledger::life() const { return database_->resume; }

absl::StatusOr<std::optional<Ledger::Row>> Ledger::Find(const SampleKey& key) {
  Statement& find = database_->find;
  const auto reset = absl::MakeCleanup([&] { find.Reset(); });
  const int code = find.Step(database_->resume, key.prompt_id, key.sample_index);
  if (code == SQLITE_DONE) return std::optional<Row>();
  if (code != SQLITE_ROW) return database_->Error("reading");
  return std::optional<Row>(Row{find.Text(0), find.Integer(1), !find.IsNull(2)});
}

absl::StatusOr<int64_t> Ledger::NextAttempt(const SampleKey& key) {
  Statement& last = database_->last_attempt;
  const auto reset = absl::MakeCleanup([&] { last.Reset(); });
  if (last.Step(key.prompt_id, key.sample_index) != SQLITE_ROW) return database_->Error("reading");
  return last.IsNull(0) ? 0 : last.Integer(0) + 1;
}

}  // namespace ponder::learner
