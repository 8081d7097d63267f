ponder_fuzz(NAME verifier_math DEPS ponder::verifier)
ponder_fuzz(NAME verifier_rpc DEPS ponder::verifier)
ponder_fuzz(NAME verifier_choice DEPS ponder::verifier)
ponder_fuzz(NAME verifier_puzzle DEPS ponder::data ponder::verifier)
