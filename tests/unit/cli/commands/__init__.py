"""Tests of `mpbake/cli/commands/`."""
