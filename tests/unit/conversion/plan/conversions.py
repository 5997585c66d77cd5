"""Bake files in HCL as input of tests, and the plans that they become."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

from mpbake.conversion.plan import convert
from mpbake.conversion.reading.hcl.files import read_hcl
from mpbake.spec.files.toml_values import parse_toml

if TYPE_CHECKING:
    from mpbake.conversion.plan import Conversion

_VERSION = "version = 1\n\n"


def converted(hcl: str) -> Conversion:
    """Return the conversion of a bake file."""
    return convert(read_hcl(dedent(hcl), "docker-bake.hcl"))


def plan_of(hcl: str) -> str:
    """Return the plan of a bake file, without its first line. The plan is valid TOML."""
    text = converted(hcl).text
    parse_toml(text, "build.toml")
    heading, found, rest = text.partition(_VERSION)
    assert found, text
    return heading + rest


def notes_of(hcl: str) -> list[str]:
    """Return the notes on a bake file, each as `kind: text`."""
    return [f"{note.kind}: {note.text}" for note in converted(hcl).notes]


def toml(text: str) -> str:
    """Return an indented TOML document of a test."""
    return dedent(text).lstrip("\n")
