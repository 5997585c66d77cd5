"""Tests of `mpbake/buildkit/registry/`."""
