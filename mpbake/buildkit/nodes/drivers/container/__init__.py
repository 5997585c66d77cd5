"""Containers of nodes, which several drivers share."""
