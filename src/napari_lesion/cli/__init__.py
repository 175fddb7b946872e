"""The command line: one thin module a command. It parses, shows progress and prints; `workflow` does the work."""
