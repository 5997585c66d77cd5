"""Workflow commands, which GitHub's runner reads from the output of a job. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

ANNOTATIONS = 10
"""The number of errors, and the number of warnings, that GitHub shows for a step."""


def workflow_command(name: str, text: str, properties: Mapping[str, str | int] | None = None) -> str:
    """Return a workflow command, such as `::error file=build.toml,line=3::no such target`, without empty properties."""
    written = ",".join(f"{key}={_escape(str(value), ':,')}" for key, value in (properties or {}).items() if value)
    return f"::{name}{' ' if written else ''}{written}::{_escape(text)}"


def _escape(text: str, separators: str = "") -> str:
    """Escape line breaks, which end a workflow command, and `separators`, which end a property of the command."""
    for character in f"%\r\n{separators}":
        text = text.replace(character, f"%{ord(character):02X}")
    return printable(text)
