"""The marks of nodes that mpbake made: short hashes of the options of a node. Pure.

A mark is stored with the container or Deployment itself, so mpbake recognizes its nodes from every machine. A mark has
the form `driver=…;image=1f0c9a3e;network=…`, with a short hash of the value of each declared option.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MARK = "MPBAKE_NODE"
"""The environment variable that holds the mark of a container."""
ANNOTATION = "mpbake-node"
"""The annotation that holds the mark of a Deployment: older buildx cannot set environment variables of a Deployment.

In the value, `:` replaces `=`, since buildx cuts annotations at `=`.
"""
VOLUME_LABEL = "mpbake-node"
"""The label of a volume that mpbake made for the cache of a container; its value is the id of the node."""
CONTAINER_LABEL = "mpbake-node"
"""The label that holds the mark of a container that mpbake itself creates, without buildx."""

SETTING_LABEL = "mpbake."
"""The start of the labels that hold the settings of such a container, for people and for messages about drift."""


_OF_CLIENT = frozenset({"loadbalance", "timeout"})
"""Options that only the client uses. The marks of earlier versions of mpbake contain these options."""


def read_mark(mark: str) -> dict[str, str]:
    """Return the hashes in a mark by option name: `image=1f0c9a3e;network=…`."""
    return {name: value for name, _, value in (part.rpartition("=") for part in mark.split(";") if part)}


def drifted_names(actual: str, declared: str) -> tuple[str, ...]:
    """Return the names of the options in which two marks differ, sorted."""
    one, other = read_mark(actual), read_mark(declared)
    names = (one.keys() | other.keys()) - _OF_CLIENT
    return tuple(sorted(name for name in names if one.get(name) != other.get(name)))


def add_mark_variable(options: dict[str, str], mark: str) -> None:
    """Add `mark` to the driver options of a node as an environment variable."""
    options[f"env.{MARK}"] = mark


def add_mark_annotation(options: dict[str, str], mark: str) -> None:
    """Add `mark` to the driver options of a node as an annotation."""
    others = [options["annotations"]] if options.get("annotations") else []
    options["annotations"] = ",".join([*others, f"{ANNOTATION}={annotation_value(mark)}"])


def annotation_value(mark: str) -> str:
    """Return the value of the annotation that holds `mark`."""
    return mark.replace("=", ":")


def split_mark(options: dict[str, str]) -> str:
    """Remove the mark from the driver options of a node and return it; empty if there is none."""
    others, is_marked, mark = options.get("annotations", "").rpartition(f"{ANNOTATION}=")
    if not is_marked:
        return options.pop(f"env.{MARK}", "")
    options["annotations"] = others.removesuffix(",")
    return _read_annotation(mark)


def annotated_mark(annotations: Mapping[str, str]) -> str:
    """Return the mark among the annotations of a Deployment; empty if there is none."""
    return _read_annotation(annotations.get(ANNOTATION, ""))


def _read_annotation(value: str) -> str:
    return value.replace(":", "=")
