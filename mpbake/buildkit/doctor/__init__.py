"""Finds the facts for `mpbake doctor`, without changes."""
