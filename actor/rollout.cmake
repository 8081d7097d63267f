# ponder::actor: what turns leases into submitted samples; no LibTorch.
ponder_library(NAME actor
  SOURCES grpc_learner_link.cc grpc_verifier_link.cc rollout_loop.cc
  DEPS ponder::base ponder::data ponder::engine ponder::model ponder::proto)
