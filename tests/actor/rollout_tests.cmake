# Tests of ponder::actor: links and loop, against a learner and a verifier that are real.
ponder_test(NAME actor_rollout SOURCES links_test.cc rollout_loop_test.cc ${PROJECT_SOURCE_DIR}/deploy/local_links.cc
  DEPS ponder::actor ponder::pool ponder::verifier SQLite::SQLite3 LABELS unit integration)
