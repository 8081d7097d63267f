# Tests of ponder::engine.
ponder_test(NAME actor_engine
  SOURCES engine/allocation_test.cc engine/engine_test.cc engine/kv_pages_test.cc engine/prefix_cache_test.cc engine/soak_test.cc
    engine/stop_strings_test.cc evaluate_test.cc pass_at_k_test.cc ../moe/reference_decoder.cc
  DEPS ponder::engine)
# The soak test with ten thousand sequences.
add_test(NAME actor_engine_soak COMMAND actor_engine_test --gtest_filter=*Soak*)
set_tests_properties(actor_engine_soak PROPERTIES LABELS slow TIMEOUT 1200 ENVIRONMENT PONDER_SOAK_SEQUENCES=10000)
