"""Tests of `mpbake/buildkit/process/`."""
