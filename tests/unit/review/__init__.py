"""Tests of `mpbake/review/`."""
