"""Tests of `mpbake/buildkit/nodes/engines/`."""
