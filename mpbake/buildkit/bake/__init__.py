"""Bake calls: their definition, progress, results and failures."""
