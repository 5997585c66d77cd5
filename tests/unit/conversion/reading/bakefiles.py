"""Helpers of the tests that read bake files."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, is_dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import PlanError
from mpbake.conversion.reading import read_bake_json, read_hcl
from mpbake.conversion.syntax import Comments, Target, Variable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.conversion.syntax import BakeFile, Expression


def hcl(text: str, path: str = "docker-bake.hcl") -> BakeFile:
    """Return a file in HCL that is indented as in a test."""
    return read_hcl(dedent(text).lstrip("\n"), path)


def attribute(file: BakeFile, name: str, target: int = 0) -> Expression:
    """Return the value of an attribute of a target."""
    block = [block for block in file.blocks if isinstance(block, Target)][target]
    return next(entry.value for entry in block.entries if entry.name == name)


def value(text: str) -> Expression:
    """Return an expression that is the value of an attribute at the top level."""
    (block,) = read_hcl(f"a = {text}\n", "docker-bake.hcl").blocks
    assert isinstance(block, Variable)
    assert block.default is not None
    return block.default


def error(text: str, path: str = "docker-bake.hcl") -> str:
    """Return the message of the error that reading raises."""
    try:
        (read_bake_json if path.endswith(".json") else read_hcl)(text, path)
    except PlanError as problem:
        return str(problem)
    return ""


def parts(tree: Any) -> Iterator[Any]:
    """Yield a value and everything in it."""
    yield tree
    if isinstance(tree, tuple):
        for item in tree:
            yield from parts(item)
    elif is_dataclass(tree):
        for member in fields(tree):
            yield from parts(getattr(tree, member.name))


def comment_lines(file: BakeFile) -> Counter[str]:
    """Return all lines of comments that are not empty."""
    lines = Counter(file.heading)
    for part in parts(file):
        if isinstance(part, Comments):
            lines.update((*part.before, part.after))
        lines.update(getattr(part, "trailing", ()))
    del lines[""]
    return lines
