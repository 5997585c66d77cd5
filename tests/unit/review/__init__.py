"""Tests of `mpbake.review`."""
