"""Builders: their actual state, drift, and changes."""
