"""Tests of `mpbake/resolve/`."""
