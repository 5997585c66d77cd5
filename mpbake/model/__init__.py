"""Immutable values: the resolved plan, its steps, the fields of bake, and the expected images of a registry."""
