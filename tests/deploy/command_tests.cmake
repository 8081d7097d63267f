# The subcommands of `ponder`, from outside.
ponder_test(NAME deploy_model_commands SOURCES model_commands_test.cc
  DEPS absl::strings nlohmann_json::nlohmann_json LABELS integration)
add_dependencies(deploy_model_commands_test ponder ponder-verifier)
ponder_test(NAME deploy_export SOURCES export_test.cc DEPS ponder::data ponder::engine ponder::model LABELS integration)
add_dependencies(deploy_export_test ponder llamacpp_peer)
