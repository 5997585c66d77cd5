"""Tests of `mpbake/report/`."""
