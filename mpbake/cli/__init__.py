"""The command line: options of each command, and one module for each command."""
