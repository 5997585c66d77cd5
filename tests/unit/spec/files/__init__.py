"""Tests of `mpbake/spec/files/`."""
