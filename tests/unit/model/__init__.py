"""Tests of `mpbake/model/`."""
