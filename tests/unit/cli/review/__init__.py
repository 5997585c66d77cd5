"""Tests of `mpbake/cli/review/`."""
