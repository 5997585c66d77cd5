"""Tests of `mpbake/buildkit/nodes/instances/`."""
