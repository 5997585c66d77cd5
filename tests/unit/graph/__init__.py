"""Tests of `mpbake/graph/`."""
