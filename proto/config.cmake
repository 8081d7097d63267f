list(APPEND proto_sources)
