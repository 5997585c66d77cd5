"""Tests of `mpbake/cli/runs/`."""
