"""Preflight checks: the checks that a run makes before it touches anything."""
