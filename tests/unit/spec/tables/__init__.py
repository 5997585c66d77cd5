"""Tests of `mpbake/spec/tables/`."""
