"""Tests of `mpbake/graph/preflight/`."""
