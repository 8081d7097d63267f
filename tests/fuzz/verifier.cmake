ponder_fuzz(NAME verifier_math DEPS ponder::verifier)
