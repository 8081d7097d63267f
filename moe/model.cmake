# ponder::model: listed here by name.
