"""Read Compose files in tests, and show what they become as HCL."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import PlanError
from mpbake.conversion.compose import read_compose
from mpbake.conversion.hcl_text import hcl
from mpbake.conversion.syntax import BakeFile, Group, Target, Variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.conversion.syntax import Block


def read(text: str, *, dotenv: str = "", others: Mapping[str, str] | None = None) -> BakeFile:
    """Read a Compose file. `others` are the texts of other files by path."""
    return read_compose(dedent(text), "compose.yaml", dotenv, (others or {}).get)


def web(build: str, *, image: str = "", rest: str = "") -> dict[str, str]:
    """Return the attributes of a service `web` with `build` and `image`, as HCL. `rest` is the rest of the file."""
    lines = ["build:", *(f"  {line}" for line in dedent(build).strip().splitlines())]
    lines += [f"image: {image}"] if image else []
    text = "\n".join(["services:", "  web:", *(f"    {line}" for line in lines), dedent(rest), ""])
    return attributes(read(text), "web")


def attributes(file: BakeFile, name: str) -> dict[str, str]:
    """Return the attributes of a target, as HCL."""
    return {entry.name: hcl(entry.value) for entry in target(file, name).entries}


def target(file: BakeFile, name: str) -> Target:
    """Return a target by its name."""
    return next(block for block in file.blocks if isinstance(block, Target) and block.name == name)


def variables(file: BakeFile) -> dict[str, str]:
    """Return the defaults of the variables, as HCL."""
    return {block.name: default(block) for block in file.blocks if isinstance(block, Variable)}


def default(variable: Variable) -> str:
    """Return the default of a variable, as HCL."""
    return hcl(variable.default) if variable.default is not None else ""


def group(file: BakeFile) -> str:
    """Return the targets of the group of the file, as HCL."""
    return next(hcl(block.targets) for block in file.blocks if isinstance(block, Group))


def kinds(file: BakeFile) -> list[type[Block]]:
    """Return the kinds of the blocks."""
    return [type(block) for block in file.blocks]


def problems(text: str, *, others: Mapping[str, str] | None = None) -> list[str]:
    """Return the problems of a Compose file: `LINE:COLUMN: message`."""
    with pytest.raises(PlanError) as raised:
        read(text, others=others)
    return [
        f"{found.location.line}:{found.location.column}: {found.message}"
        for found in raised.value.diagnostics
        if found.location
    ]
