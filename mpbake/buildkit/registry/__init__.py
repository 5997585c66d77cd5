"""Registries over HTTP: a run moves tags, reads images back and compares them with the plan."""
