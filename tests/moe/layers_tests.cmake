# Tests of ponder::moe.
ponder_test(NAME moe_decoder TORCH
  SOURCES decoder_test.cc decoder_cases.cc plain_decoder.cc
  DEPS ponder::moe)
ponder_test(NAME moe_expert_parallel TORCH
  SOURCES expert_parallel_test.cc decoder_cases.cc
  DEPS ponder::moe)
ponder_test(NAME moe_decoder_inference TORCH
  SOURCES decoder_inference_test.cc decoder_cases.cc
  DEPS ponder::moe)
ponder_test(NAME moe_activation_pool TORCH
  SOURCES activation_pool_test.cc
  DEPS ponder::moe)
