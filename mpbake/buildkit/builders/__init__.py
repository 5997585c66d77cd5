"""Builders: actual state, differences to the declared state, and changes."""
