"""Targets: inheritance, matrix, overrides, paths, and links between targets."""
