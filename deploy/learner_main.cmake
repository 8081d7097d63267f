# ponder-learner: the one binary with LibTorch.
#ponder_binary(NAME ponder-learner TORCH
#  SOURCES learner_main.cc learner_rank.cc sft_stage.cc rl_stage.cc
#  DEPS ponder::learner ponder::data ponder::run_folder CLI11::CLI11)
