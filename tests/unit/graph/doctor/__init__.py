"""Tests of `mpbake/graph/doctor/`."""
