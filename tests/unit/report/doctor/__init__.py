"""Tests of `mpbake/report/doctor/`."""
