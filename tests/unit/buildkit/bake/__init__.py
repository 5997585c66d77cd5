"""Tests of `mpbake/buildkit/bake/`."""
