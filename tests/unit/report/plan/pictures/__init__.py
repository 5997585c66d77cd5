"""Tests of `mpbake/report/plan/pictures/`."""
