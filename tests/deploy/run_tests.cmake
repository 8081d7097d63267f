# `ponder run` and the loopback, from outside.
ponder_test(NAME deploy_run SOURCES pipeline_test.cc run_test.cc run_fixture.cc
  DEPS ponder::base absl::strings nlohmann_json::nlohmann_json SQLite::SQLite3 LABELS integration TIMEOUT 900)
add_dependencies(deploy_run_test ponder ponder-learner ponder-verifier loopback)
ponder_test(NAME deploy_own_model SOURCES own_model_test.cc run_fixture.cc
  DEPS ponder::base absl::strings nlohmann_json::nlohmann_json SQLite::SQLite3 LABELS integration TIMEOUT 300)
add_dependencies(deploy_own_model_test ponder ponder-learner ponder-verifier)
# Their verifiers jail programs, and try a jail at start.
set_tests_properties(deploy_run deploy_own_model PROPERTIES RESOURCE_LOCK jails)
