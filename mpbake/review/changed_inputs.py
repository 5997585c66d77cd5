"""What has changed since a plan was saved: plan files, Dockerfiles, contexts and nodes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.base.text import one_line
from mpbake.review.document.plan_document import dockerfile_documents

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


def _dockerfiles(document: Document) -> dict[str, str]:
    return {file["path"]: file["sha256"] for file in dockerfile_documents(document) if file["path"]}


def _nodes(document: Document) -> dict[str, Any]:
    """Return the nodes of a document, each with its settings and with how it builds platforms, by id."""
    nodes = {node["id"]: [node] for builder in document["builders"] for node in builder["nodes"]}
    for step in document["steps"]:
        for node in step.get("nodes", ()):
            nodes.setdefault(node, []).append({"target": step["target"], "platforms": step["platforms"]})
    return nodes
