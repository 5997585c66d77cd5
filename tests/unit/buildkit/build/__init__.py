"""Tests of `mpbake/buildkit/build/`."""
