# ponder-learner: the one binary with LibTorch.
ponder_binary(NAME ponder-learner TORCH
  SOURCES learner_main.cc learner_rank.cc model_folder.cc preference_stage.cc recipe.cc rl_stage.cc run_folder.cc sft_stage.cc stop_signal.cc
  DEPS ponder::learner ponder::data CLI11::CLI11)
