"""Tests of `mpbake/run/schedule/`."""
