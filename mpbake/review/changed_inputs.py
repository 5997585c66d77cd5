"""The inputs that have changed since a plan was saved: plan files, Dockerfiles, contexts and nodes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.base.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.review.document.plan_document import Document
    from mpbake.review.saved_plan import InputStates


def changed_inputs(before: InputStates, after: InputStates, saved: Document, document: Document) -> list[str]:
    """Return what has changed: plan files, Dockerfiles, contexts and nodes, each with its path or id."""
    return [
        *(f"plan file {path}" for path in _changed(before.files, after.files)),
        *(f"Dockerfile {path}" for path in _changed(_dockerfiles(saved), _dockerfiles(document))),
        *(f"context {path}" for path in _changed(before.contexts, after.contexts)),
        *(f"node {node}" for node in _changed(_nodes(saved), _nodes(document))),
    ]


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = dict.fromkeys((*before, *after))
    return [one_line(name) for name in names if before.get(name) != after.get(name)]


def _dockerfiles(document: Document) -> dict[str, Any]:
    """Return the digests of Dockerfiles by path. The document of a saved plan may lack some."""
    variants = (variant for target in document["targets"] for variant in (target, *target["variants"].values()))
    files = (variant.get("dockerfile") for variant in variants)
    return {str(file["path"]): file.get("sha256") for file in files if isinstance(file, dict) and file.get("path")}


def _nodes(document: Document) -> dict[str, Any]:
    """Return the nodes of a document, each with its settings and with how it builds platforms, by id."""
    nodes = {node["id"]: [node] for builder in document["builders"] for node in builder["nodes"]}
    for step in document["steps"]:
        for node in step["nodes"] if step["kind"] == "build" else ():
            nodes.setdefault(node, []).append({"target": step["target"], "platforms": step["platforms"]})
    return nodes
