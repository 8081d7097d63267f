# ponder::actor: what turns leases into submitted samples; no LibTorch.
ponder_library(NAME actor
  SOURCES grpc_learner_link.cc grpc_verifier_link.cc
  DEPS ponder::base ponder::proto ponder::model ponder::data)
