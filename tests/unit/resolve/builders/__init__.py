"""Tests of `mpbake/resolve/builders/`."""
