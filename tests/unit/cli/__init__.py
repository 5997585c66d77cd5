"""Tests of `mpbake/cli/`."""
