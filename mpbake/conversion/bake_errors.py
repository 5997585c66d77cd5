"""Read the errors of bake: where they are, and what they say. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

VALIDATION = "Validation failed"
"""A part of bake's message about a value that a `validation` block forbids."""
_POSITION = re.compile(r"(?P<file>[^:\n]+):(?P<line>\d+),[\d,-]+: (?P<text>.+)", re.DOTALL)
_OTHERS = re.compile(r"\.?,? and \d+ other diagnostic\(s\)$")
_UNKNOWN = re.compile(
    r'There is no (?P<kind>variable|function) named "(?P<name>[^"]+)"(?:\. Did you mean "(?P<near>[^"]+)")?'
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BakeProblem:
    """An error of bake. `file` and `line` say where it is in a bake file; they are empty if bake says nothing usable.

    `unknown` is the kind of a name that is not defined, `variable` or `function`, else empty. `near` is a similar name.
    """

    text: str
    file: str = ""
    line: int = 0
    unknown: str = ""
    near: str = ""

    @property
    def place(self) -> str:
        """`docker-bake.hcl:2`, or empty."""
        return f"{self.file}:{self.line}" if self.file else ""


def read_bake_error(message: str, files: Container[str]) -> BakeProblem:
    """Return the first problem of an error message of bake. A place in another file than `files` is left out."""
    match = _POSITION.fullmatch(message.strip())
    text = _OTHERS.sub("", match["text"] if match else message).strip().removesuffix(".")
    file, line = (match["file"], int(match["line"])) if match and match["file"] in files else ("", 0)
    unknown = _UNKNOWN.search(text)
    if unknown is None:
        return BakeProblem(text=text, file=file, line=line)
    text = f'there is no {unknown["kind"]} "{unknown["name"]}"'
    return BakeProblem(text=text, file=file, line=line, unknown=unknown["kind"], near=unknown["near"] or "")
