# Tests of ponder::server; the slow one is the load test with a thousand clients that go away.
ponder_test(NAME actor_server SOURCES server/http_server_test.cc server/scoring_server_test.cc server/text_stream_test.cc
    ../moe/reference_decoder.cc
  DEPS ponder::server PkgConfig::HTTPLIB LABELS unit integration)
add_test(NAME actor_server_load COMMAND actor_server_test --gtest_filter=*GoAway*)
set_tests_properties(actor_server_load PROPERTIES LABELS slow TIMEOUT 1200 ENVIRONMENT PONDER_DISCONNECTS=1000)
