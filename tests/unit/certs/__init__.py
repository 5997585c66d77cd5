"""Tests of `mpbake/certs/`."""
