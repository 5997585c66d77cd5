"""The settings of a target in a plan document, as short lines or complete, for the formats of a plan. Pure."""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING, Any

from mpbake.base.text import one_line, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.review.document.plan_document import Document

_LONGEST_LINE = 72
_LONGEST_VALUE = 80
_MOST_ENTRIES = 6
_LINK = "target:"
_QUIET = ("annotations", "attest", "context", "dockerfile", "target", "secret", "ssh", "entitlements")
"""Attributes that `setting_lines` leaves out: they are in another line or in a remark, or only describe the image."""
_ORDINARY = {"context": ".", "dockerfile": "Dockerfile", "network": "default", "call": "build"}


def variant_of(target: Document, platforms: Sequence[Platform]) -> Document:
    """Return the values of a target in a plan document for `platforms`, which share one variant."""
    variants = target["variants"]
    variant: Document = variants.get(str(platforms[0]), target) if variants and platforms else target
    return variant


def setting_lines(variant: Document) -> list[str]:
    """Return the settings that change what a build does, as short lines that are safe to print.

    Values and lists are shortened. A target whose folder is the plan's folder, and that sets nothing, has no lines.
    """
    groups = [group for group in (_source(variant), *_named(variant), *_others(variant["attributes"])) if group]
    line = "; ".join(groups)
    return ([line] if len(line) <= _LONGEST_LINE else groups) if groups else []


def _source(variant: Document) -> str:
    """Return the folder, the Dockerfile and the stage, if they are not the usual ones."""
    attributes = variant["attributes"]
    names = {"context": "context", "dockerfile": "dockerfile", "target": "stage"}
    stated = [
        f"{text} {_short(attributes[name])}"
        for name, text in names.items()
        if attributes.get(name) and _is_set(attributes, name)
    ]
    return ", ".join([*stated, *(["inline Dockerfile"] if "dockerfile-inline" in attributes else [])])


def _is_set(attributes: Document, name: str) -> bool:
    value = attributes[name]
    ordinary = _ORDINARY.get(name)
    return value != ordinary and not (name == "context" and posixpath.normpath(str(value)) == ordinary)


def _named(variant: Document) -> Iterator[str]:
    contexts = {name: value for name, value in variant["contexts"].items() if not value.startswith(_LINK)}
    for title, values in (("args", variant["args"]), ("contexts", contexts)):
        if values:
            yield f"{title} {_entries([f'{name}={_short(value)}' for name, value in values.items()])}"


def _others(attributes: Document) -> Iterator[str]:
    for name, value in attributes.items():
        if name in _QUIET or name == "dockerfile-inline" or value in ("", [], {}, None, False, _ORDINARY.get(name)):
            continue
        yield from _attribute(name, value)


def _attribute(name: str, value: Any) -> Iterator[str]:
    match value:
        case True:
            yield one_line(name)
        case dict():
            yield f"{one_line(name)} {_entries([f'{key}={_short(entry)}' for key, entry in value.items()])}"
        case list():
            yield f"{one_line(name)} {_entries([_short(entry) for entry in value])}"
        case _:
            yield f"{one_line(name)} {_short(value)}"


def _entries(entries: Sequence[str]) -> str:
    more = f" and {len(entries) - _MOST_ENTRIES} more" if len(entries) > _MOST_ENTRIES else ""
    return ", ".join(map(one_line, entries[:_MOST_ENTRIES])) + more


def _short(value: Any) -> str:
    return one_line(shortened(value_text(value), _LONGEST_VALUE))


def value_text(value: Any) -> str:
    """Return a value of a plan document as text: a text as it is, any other value as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def every_setting(variant: Document) -> list[tuple[str, str]]:
    """Return all attributes of a target with their values, one pair for each entry of a list or table."""
    settings: list[tuple[str, str]] = []
    tables = {name: variant[name] for name in ("args", "labels", "contexts")}
    for name, value in ({} | variant["attributes"] | tables).items():
        match value:
            case dict():
                settings += [(f"{name}.{key}", value_text(entry)) for key, entry in value.items()]
            case list():
                settings += [(name, value_text(entry)) for entry in value]
            case _:
                settings.append((name, value_text(value)))
    return settings
