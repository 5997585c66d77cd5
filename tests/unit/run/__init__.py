"""Tests of `mpbake/run/`."""
