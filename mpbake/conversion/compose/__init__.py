"""Read Compose files, as bake reads them, into the syntax of bake files."""

from mpbake.conversion.compose.reader import read_compose, read_compose_files

__all__ = ["read_compose", "read_compose_files"]
