"""Tests of the result of `mpbake import`."""
