"""Expressions are written as HCL that means the same."""

from __future__ import annotations

import pytest

from mpbake.conversion.hcl_text import hcl
from mpbake.conversion.reading import read_expression
from mpbake.conversion.syntax import Literal, Name, Place, Template


@pytest.mark.parametrize("before", ["$", "$$", "%", "a$%", "$$$"])
def test_a_marker_before_a_reference_does_not_escape_it(before: str) -> None:
    written = hcl(Template(parts=(Literal(value=before), Name(name="A"))))
    assert written == f'"{before.rstrip("$%")}${{"{before.removeprefix("a")}"}}${{A}}"'
    template = read_expression(written, Place(file="docker-bake.hcl"))
    assert isinstance(template, Template)
    assert template.parts[-1] == Name(name="A")


def test_markers_elsewhere_stay_as_they_are() -> None:
    assert hcl(Template(parts=(Literal(value="$a-"), Name(name="A"), Literal(value="$")))) == '"$a-${A}$"'
