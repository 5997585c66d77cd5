"""Preflight checks: the checks that a run makes before it changes anything."""
