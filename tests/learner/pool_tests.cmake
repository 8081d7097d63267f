ponder_test(NAME learner_ledger SOURCES ledger_test.cc DEPS ponder::pool SQLite::SQLite3)
