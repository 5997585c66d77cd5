"""Tests of `mpbake/report/diff/`."""
