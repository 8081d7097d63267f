# Child processes and the view of a run.
ponder_test(NAME deploy_supervisor SOURCES supervisor_test.cc DEPS ponder::supervisor)
ponder_test(NAME deploy_run_view SOURCES run_view_test.cc DEPS ponder::run_view)
