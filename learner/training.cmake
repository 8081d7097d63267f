# ponder::learner: the updates, on LibTorch.
ponder_library(NAME learner TORCH
  SOURCES adamw.cc checkpoint.cc mesh.cc objective.cc policy_batch.cc schedule.cc sft_loop.cc updater.cc
  DEPS ponder::moe ponder::comm)
if(EXISTS /tmp/exp.cc)
ponder_binary(NAME exp TORCH SOURCES /tmp/exp.cc DEPS ponder::learner ponder::engine ponder::data)
endif()
