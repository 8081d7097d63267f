# ponder::pool: the sample pool and what serves it; no LibTorch.
ponder_library(NAME pool
  SOURCES ledger.cc
  DEPS ponder::base
  PRIVATE_DEPS SQLite::SQLite3)
