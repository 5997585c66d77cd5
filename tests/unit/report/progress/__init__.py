"""Tests of `mpbake/report/progress/`."""
