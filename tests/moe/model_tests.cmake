# Tests of ponder::model.
