"""Tests of `mpbake/buildkit/doctor/`."""
