# Tests of ponder::objective and ponder::learner.
ponder_test(NAME learner_objective
  SOURCES advantage_test.cc objective_test.cc policy_batch_test.cc policy_loss_test.cc recipes_learn_test.cc schedule_test.cc
    ${PROJECT_SOURCE_DIR}/deploy/recipe.cc
  DEPS ponder::objective ponder::proto)
ponder_test(NAME learner_training TORCH
  SOURCES adamw_test.cc checkpoint_test.cc lora_test.cc preference_loop_test.cc shared_value_test.cc train_loop_test.cc updater_test.cc value_model_test.cc
  DEPS ponder::learner SQLite::SQLite3 nlohmann_json::nlohmann_json)
