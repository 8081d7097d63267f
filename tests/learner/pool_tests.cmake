ponder_test(NAME learner_ledger SOURCES ledger_test.cc DEPS ponder::pool SQLite::SQLite3)
ponder_test(NAME learner_sample_pool SOURCES curriculum_test.cc sample_pool_test.cc sample_pool_property_test.cc
  DEPS ponder::pool SQLite::SQLite3)
ponder_test(NAME learner_service SOURCES learner_service_test.cc DEPS ponder::pool SQLite::SQLite3
  LABELS unit integration)
