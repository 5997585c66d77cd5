"""Tests of `mpbake/spec/`."""
