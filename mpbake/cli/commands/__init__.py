"""One short pipeline for each command: options in, exit code out; values are returned, errors raised."""
