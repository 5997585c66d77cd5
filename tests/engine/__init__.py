"""Tests with a real Docker engine, registry and nodes, all on this machine."""
