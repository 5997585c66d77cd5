"""Tests of `mpbake/buildkit/bake/images/`."""
