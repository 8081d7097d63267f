# Child processes and the view of a run.
ponder_test(NAME deploy_supervisor SOURCES supervisor_test.cc DEPS ponder::supervisor)
