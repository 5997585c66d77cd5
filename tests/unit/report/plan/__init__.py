"""Tests of `mpbake/report/plan/`."""
