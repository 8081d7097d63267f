# The whole system in one process.
ponder_binary(NAME loopback TORCH
  SOURCES local_links.cc loopback.cc model_shape.cc
  DEPS ponder::actor ponder::learner ponder::verifier ponder::data CLI11::CLI11)
