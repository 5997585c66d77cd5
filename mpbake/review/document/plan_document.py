"""Make the plan document of a run from its graph, and compute the plan id."""

from __future__ import annotations

import hashlib
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mpbake.graph.links import linked_targets
from mpbake.review.document.builders import builder_documents
from mpbake.review.document.registries import registry_documents
from mpbake.review.document.steps import step_documents
from mpbake.review.document.targets import target_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mpbake.graph.dag import BuildGraph
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.model.grants import Grant
    from mpbake.model.plan import Target

    Document = Mapping[str, Any]
    """A plan document or a part of it."""
    """A plan document."""

DOCUMENT_FORMAT = 2
"""Version of the format. The version rises when a field is removed or changes meaning, but not for a new field."""

UNIDENTIFIED = ("id", "expected", "probe", "inputs", "request")
"""The fields of a document that do not belong to its plan id: they say nothing about what a run would do."""
_LISTS = ("grants", "registries", "builders", "targets", "steps", "warnings")


def plan_document(
    graph: BuildGraph,
    grants: Iterable[Grant],
    warnings: Sequence[str],
    digest: Callable[[str], str],
    redact: Callable[[str], str],
    facts: Mapping[str, NodeFacts] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the plan document of a run.

    `digest` returns the SHA-256 of a Dockerfile or of a configuration of buildkitd as hexadecimal digits, or an empty
    text if the file cannot be read. `redact` masks sensitive values; no text of the document contains such a value.
    `facts` are the reports of nodes, by node ID. The plan must be resolved with relative paths: then the document is
    the same in every checkout.
    """
    document = {
        "format": DOCUMENT_FORMAT,
        "grants": [grant_document(grant) for grant in grants],
        "registries": registry_documents(built_targets(graph)),
        "builders": builder_documents(graph, facts, digest),
        "targets": _targets(graph, digest),
        "steps": list(step_documents(graph, facts)),
        "warnings": list(warnings),
    }
    text = _canonical_text(document)
    if redact(text) != text:  # few plans have sensitive values, so the whole text is searched first
        document = map_texts(document, redact)
        text = _canonical_text(document)
    return {"format": DOCUMENT_FORMAT, "id": _digest(text)} | document


def empty_document() -> dict[str, Any]:
    """Return the plan document of a plan that does nothing."""
    document: dict[str, Any] = {"format": DOCUMENT_FORMAT, **{name: [] for name in _LISTS}}
    return {**document, "id": plan_id(document)}


def plan_id(document: Document) -> str:
    """Return the plan id of a document: the SHA-256 of everything that a run would do, as 64 hexadecimal digits.

    Equal ids mean equal plans, on every machine. The id of a document that was saved and read again is the same.
    """
    return _digest(_canonical_text(document))


def _canonical_text(document: Document) -> str:
    """Return the identified fields of a document as JSON: the same text for the same values."""
    identified = {name: value for name, value in document.items() if name not in UNIDENTIFIED}
    return json.dumps(identified, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def digested_files(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the path and the digest of each Dockerfile and of each configuration of buildkitd in a document."""
    for target in document["targets"]:
        files = (part["dockerfile"] for part in (target, *target["variants"].values()))
        yield from ((file["path"], file["sha256"]) for file in files if file["path"])
    nodes = (node for builder in document["builders"] for node in builder["nodes"])
    yield from ((node["config_file"], node["config_sha256"]) for node in nodes if node["config_file"])


def built_targets(graph: BuildGraph) -> tuple[Target, ...]:
    """Return the targets of a run, then the targets that are built only because other targets link to them."""
    return tuple(dict.fromkeys((*graph.targets, *linked_targets(*graph.targets))))


def grant_document(grant: Grant) -> dict[str, Any]:
    """Return a grant that a run needs: the value of `--allow`, its kind, and the attributes that need it."""
    return {"allow": grant.text, "kind": str(grant.kind), "value": grant.value, "users": list(grant.users)}


def map_texts(value: Any, convert: Callable[[str], str]) -> Any:
    """Return a copy of a JSON value in which `convert` is applied to every text, also to keys of tables."""
    match value:
        case str():
            return convert(value)
        case dict():
            return {convert(key): map_texts(entry, convert) for key, entry in value.items()}
        case list() | tuple():
            return [map_texts(entry, convert) for entry in value]
        case _:
            return value


def _targets(graph: BuildGraph, digest: Callable[[str], str]) -> list[dict[str, Any]]:
    own = frozenset(graph.targets)
    return [target_document(target, digest, only_linked=target not in own) for target in built_targets(graph)]
