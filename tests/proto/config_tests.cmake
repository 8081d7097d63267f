ponder_test(NAME proto_config SOURCES config_test.cc DEPS ponder::proto)
