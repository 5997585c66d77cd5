"""Tests of `mpbake/buildkit/builders/`."""
