# Tests of ponder::learner.
ponder_test(NAME learner_objective
  SOURCES advantage_test.cc objective_test.cc policy_batch_test.cc policy_loss_test.cc schedule_test.cc
  DEPS ponder::objective)
ponder_test(NAME learner_recipes SOURCES recipes_learn_test.cc ${PROJECT_SOURCE_DIR}/deploy/recipe.cc
  DEPS ponder::objective ponder::proto)
ponder_test(NAME learner_adamw SOURCES adamw_test.cc DEPS ponder::learner TORCH)
ponder_test(NAME learner_updater SOURCES lora_test.cc preference_loop_test.cc updater_test.cc value_model_test.cc DEPS ponder::learner nlohmann_json::nlohmann_json TORCH)
ponder_test(NAME learner_checkpoint SOURCES checkpoint_test.cc train_loop_test.cc DEPS ponder::learner SQLite::SQLite3 TORCH)
