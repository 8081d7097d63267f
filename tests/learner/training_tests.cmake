# Tests of ponder::learner.
ponder_test(NAME learner_objective SOURCES objective_test.cc DEPS ponder::learner TORCH)
ponder_test(NAME learner_adamw SOURCES adamw_test.cc DEPS ponder::learner TORCH)
ponder_test(NAME learner_schedule SOURCES schedule_test.cc DEPS ponder::learner)
ponder_test(NAME learner_policy_batch SOURCES policy_batch_test.cc DEPS ponder::learner)
ponder_test(NAME learner_updater SOURCES updater_test.cc DEPS ponder::learner TORCH)
ponder_test(NAME learner_checkpoint SOURCES checkpoint_test.cc DEPS ponder::learner TORCH)
