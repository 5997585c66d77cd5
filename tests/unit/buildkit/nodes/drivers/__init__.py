"""Tests of `mpbake/buildkit/nodes/`."""
