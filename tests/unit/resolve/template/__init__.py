"""Tests of `mpbake/resolve/template/`."""
