"""Tests of `mpbake/resolve/targets/`."""
