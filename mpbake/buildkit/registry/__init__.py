"""Registries, asked over HTTP: the tags that a run moves, and what is served under them."""
