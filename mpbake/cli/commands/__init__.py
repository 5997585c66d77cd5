"""One module for each command.

The function `main` of a command takes the options and returns the exit code; errors are raised.
"""
