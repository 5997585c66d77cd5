"""Tests of `mpbake/review/diff/`."""
