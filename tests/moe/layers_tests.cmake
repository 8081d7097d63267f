# Tests of ponder::moe.
