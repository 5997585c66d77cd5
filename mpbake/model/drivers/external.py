"""The rules of an external builder whose driver mpbake does not know, or that buildx's store does not list."""

from __future__ import annotations

from mpbake.model.drivers.rules import DriverRules

EXTERNAL = DriverRules(
    name="external",
    is_declarable=False,
    is_stored=False,
    is_placed_by_buildx=True,
)
