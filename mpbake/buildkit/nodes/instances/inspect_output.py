"""Parses the output of `buildx inspect`. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mpbake.model.plan import CONTAINER_DRIVER

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_PARALLELISM = re.compile(r"^[>\s]*max-parallelism\s*=\s*(\d+)", re.MULTILINE)
NOT_RUNNING = frozenset({"inactive", "stopped"})
"""buildx's status for a node that was never started or is stopped."""


def parse_inspect(text: str) -> dict[str, str]:
    """Return the `Key: value` lines of `buildx inspect`, by key in lower case.

    A node's value replaces the builder's value.
    """
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith(" "))
    return {key.strip().lower(): value.strip() for key, colon, value in pairs if colon}


def parse_nodes(text: str) -> list[dict[str, str]]:
    """Return the lines about each node of a builder, in the format of `parse_inspect`."""
    _, _, nodes = text.partition("\nNodes:\n")
    return [parse_inspect(f"Name:{part}") for part in re.split(r"^Name:", nodes, flags=re.MULTILINE)[1:]]


def parse_as_one_node(text: str) -> dict[str, str]:
    """Return the lines about a builder, combined into one node with the platforms of all nodes.

    The combined node runs if any of the builder's nodes runs.
    """
    nodes = parse_nodes(text)
    platforms = [platform for node in nodes for platform in node.get("platforms", "").split(", ") if platform]
    merged = {key: value for node in nodes for key, value in node.items()}
    if any(node.get("status") == "running" for node in nodes):
        merged["status"] = "running"
    return {**parse_inspect(text), **merged, "platforms": ", ".join(dict.fromkeys(platforms))}


def max_parallelism(text: str) -> int:
    """Return the number of steps that BuildKit runs in parallel, from its configuration; 0 if none is set.

    Newer buildx prints the configuration of a node. The first value counts, so the node's actual configuration must
    come before the declared one.
    """
    match = _MAX_PARALLELISM.search(text)
    return int(match[1]) if match else 0


def lacks_buildkit(lines: Mapping[str, str]) -> bool:
    """Whether an engine has no BuildKit.

    For such an engine, buildx reports another driver. If there is an error, buildx reports no driver.
    """
    return lines.get("driver") == CONTAINER_DRIVER


def status_complaint(lines: Mapping[str, str]) -> str:
    """Return an error text for a node that does not run according to buildx; empty for any other status."""
    return f"buildx reports the status {lines['status']}" if lines.get("status") in NOT_RUNNING else ""
