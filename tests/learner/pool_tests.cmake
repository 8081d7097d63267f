# Tests of ponder::pool.
ponder_test(NAME learner_pool
  SOURCES curriculum_test.cc learner_service_test.cc ledger_test.cc sample_pool_property_test.cc sample_pool_test.cc
  DEPS ponder::pool SQLite::SQLite3 LABELS unit integration)
