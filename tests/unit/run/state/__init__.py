"""Tests of `mpbake/run/state/`."""
