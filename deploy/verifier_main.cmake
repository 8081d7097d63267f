ponder_binary(NAME ponder-verifier SOURCES verifier_main.cc DEPS ponder::verifier CLI11::CLI11)
