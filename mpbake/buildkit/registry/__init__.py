"""Registries over HTTP: moves tags, reads published images and verifies them."""
