"""The registries of a plan document: every registry that the plan itself names, and what for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.base.references import parse_fields, parse_reference
from mpbake.model.bake_fields import is_folder_output, pushes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mpbake.model.plan import Target

_IMAGE_CONTEXT = "docker-image://"


def registry_documents(targets: Iterable[Target]) -> list[dict[str, Any]]:
    """Return the registries that `targets` name, sorted, with their uses: push, cache-to, cache-from, context.

    Base images are not included: only BuildKit evaluates a Dockerfile.
    """
    uses: dict[str, set[str]] = {}
    for target in targets:
        for use, reference in _references(target):
            uses.setdefault(_registry(reference), set()).add(use)
    return [{"name": name, "uses": sorted(uses[name])} for name in sorted(uses)]


def _references(target: Target) -> Iterator[tuple[str, str]]:
    """Yield the image names in the attributes of `target`, each with its use."""
    if target.push:
        yield from (("push", tag) for tag in target.tags)
    for output in target.outputs:
        if pushes(output):
            yield from (("push", name) for name in parse_fields(output).get("name", "").split(",") if name)
    for variant, _ in target.split_by_variant(()):
        for use in ("cache-to", "cache-from"):
            yield from ((use, name) for entry in variant.attributes.get(use, ()) for name in _cache_names(entry))
        for context in variant.attributes.get("contexts", {}).values():
            if context.startswith(_IMAGE_CONTEXT):
                yield "context", context.removeprefix(_IMAGE_CONTEXT)


def _cache_names(entry: str) -> list[str]:
    """Return the image names in an entry of a cache: a list of names, or the `ref` of a cache in a registry."""
    if is_folder_output(entry):
        return [name for name in entry.split(",") if name]
    fields = parse_fields(entry)
    return [fields["ref"]] if fields.get("type") == "registry" and fields.get("ref") else []


def _registry(name: str) -> str:
    """Return the registry of an image name. A name that mpbake cannot parse is returned whole."""
    try:
        return parse_reference(name.partition("@")[0]).registry
    except ValueError:
        return name
