"""What differs between an approved plan and the plan as it is now. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mpbake.base.text import LONGEST_MESSAGE, one_line, shortened
from mpbake.review.document.plan_document import UNIDENTIFIED, dockerfile_documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.review.document.plan_document import Document
    from mpbake.review.saved_plan import InputStates

_MOST_LINES = 40
_LISTS = {"targets": "name", "builders": "name", "nodes": "id", "steps": "key", "grants": "allow", "registries": "name"}
"""Lists of a document whose entries have a name of their own, and the field with this name."""


def changed_inputs(before: InputStates, after: InputStates, saved: Document, document: Document) -> list[str]:
    """Return what has changed: plan files, Dockerfiles, contexts and nodes, each with its path or id."""
    return [
        *(f"plan file {path}" for path in _changed(before.files, after.files)),
        *(f"Dockerfile {path}" for path in _changed(_dockerfiles(saved), _dockerfiles(document))),
        *(f"context {path}" for path in _changed(before.contexts, after.contexts)),
        *(f"node {node}" for node in _changed(_nodes(saved), _nodes(document))),
    ]


def document_differences(before: Document, after: Document) -> str:
    """Return the differences of two documents, a line for each value: `targets.web.push: false -> true`."""
    values, others = (_identified(document) for document in (before, after))
    lines = [f"  {line}" for line in _differences("", values, others)]
    more = [f"  and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    return "\n".join([*lines[:_MOST_LINES], *more])


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


def _identified(document: Document) -> Document:
    return {name: value for name, value in document.items() if name not in UNIDENTIFIED}


def _differences(path: str, before: Any, after: Any) -> Iterator[str]:
    if before == after:
        return
    key = _LISTS.get(path.rpartition(".")[2])
    if key and isinstance(before, list) and isinstance(after, list):
        before, after = ({entry[key]: entry for entry in entries} for entries in (before, after))
    if not isinstance(before, dict) or not isinstance(after, dict):
        yield f"{path}: {_shown(before)} -> {_shown(after)}"
        return
    for name in dict.fromkeys((*before, *after)):
        place = f"{path}.{one_line(name)}".lstrip(".")
        if name not in after:
            yield f"{place}: removed"
        elif name not in before:
            yield f"{place}: added"
        else:
            yield from _differences(place, before[name], after[name])


def _shown(value: Any) -> str:
    return shortened(one_line(json.dumps(value, ensure_ascii=False)), LONGEST_MESSAGE)
