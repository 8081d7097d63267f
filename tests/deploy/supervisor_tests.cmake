# Child processes and the view of a run.
ponder_test(NAME deploy_supervisor SOURCES supervisor_test.cc DEPS ponder::supervisor)
if(MPI_C_FOUND)
  target_compile_definitions(deploy_supervisor_test PRIVATE PONDER_MPIRUN="${MPIEXEC_EXECUTABLE}")
endif()
ponder_test(NAME deploy_run_view SOURCES run_view_test.cc DEPS ponder::run_view)
ponder_test(NAME deploy_clock_step SOURCES clock_step_test.cc
  DEPS ponder::verifier ponder::pool nlohmann_json::nlohmann_json PkgConfig::HTTPLIB SQLite::SQLite3)
