# ponder::objective: what is optimised, as arithmetic without LibTorch; ponder::learner: the updates, on LibTorch.
ponder_library(NAME objective
  SOURCES advantage.cc objective.cc policy_batch.cc policy_loss.cc schedule.cc
  DEPS ponder::base ponder::comm ponder::reward)
ponder_library(NAME learner TORCH
  SOURCES adamw.cc checkpoint.cc forward.cc gradient_step.cc lora.cc mesh.cc preference_loop.cc sft_loop.cc train_loop.cc updater.cc value_model.cc
    shared_value.cc tensor_file.cc
  DEPS ponder::moe ponder::objective ponder::pool ponder::reward ponder::comm)
