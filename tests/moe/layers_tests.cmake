# Tests of ponder::moe.
ponder_test(NAME moe_layers TORCH
  SOURCES activation_pool_test.cc decoder_cases.cc decoder_inference_test.cc decoder_test.cc expert_parallel_test.cc plain_decoder.cc
  DEPS ponder::moe)
