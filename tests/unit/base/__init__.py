"""Tests of `mpbake/base/`."""
