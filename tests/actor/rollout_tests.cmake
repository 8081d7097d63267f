ponder_test(NAME actor_links SOURCES links_test.cc
  DEPS ponder::actor ponder::pool SQLite::SQLite3 LABELS unit integration)
ponder_test(NAME actor_rollout_loop SOURCES rollout_loop_test.cc ${PROJECT_SOURCE_DIR}/deploy/local_links.cc
  DEPS ponder::actor ponder::pool ponder::verifier SQLite::SQLite3 LABELS unit integration)
