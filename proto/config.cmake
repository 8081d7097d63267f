list(APPEND proto_sources config.cc config_check.cc config_keys.cc config_value.cc recipes.cc)
