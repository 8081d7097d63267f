# What `ponder run` is made of: child processes, and what the user sees of them.
ponder_library(NAME supervisor SOURCES child_process.cc supervisor.cc
  DEPS ponder::base absl::status absl::statusor absl::strings absl::str_format absl::synchronization absl::time absl::cleanup)
ponder_library(NAME run_view SOURCES run_view.cc
  DEPS ponder::base absl::status absl::strings absl::str_format absl::cleanup nlohmann_json::nlohmann_json)
