"""Targets: inheritance, matrix, overrides, paths, and references between targets."""
