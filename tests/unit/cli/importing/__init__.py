"""Tests of `mpbake/cli/importing/`."""
