"""One module for each command. Its `main` takes the options and returns the exit code; errors are raised."""
