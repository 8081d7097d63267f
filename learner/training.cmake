# ponder::learner: the updates, on LibTorch.
ponder_library(NAME learner TORCH
  SOURCES adamw.cc checkpoint.cc mesh.cc objective.cc policy_batch.cc schedule.cc sft_loop.cc train_loop.cc updater.cc
  DEPS ponder::moe ponder::pool ponder::reward ponder::comm)
