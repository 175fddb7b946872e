"""Use cases, one module each: what the dock and the command line call."""
