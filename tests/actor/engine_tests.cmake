# Tests of ponder::engine.
ponder_test(NAME actor_kv_pages SOURCES kv_pages_test.cc DEPS ponder::engine)
ponder_test(NAME actor_engine SOURCES engine_test.cc ../moe/reference_decoder.cc DEPS ponder::engine)
ponder_test(NAME actor_pass_at_k SOURCES pass_at_k_test.cc DEPS ponder::engine)
ponder_test(NAME actor_evaluate SOURCES evaluate_test.cc ../moe/reference_decoder.cc DEPS ponder::engine)
