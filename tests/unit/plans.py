"""Plans as text in, plans as meant or the exact messages out."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator

from mpbake.errors import PlanError
from mpbake.loader import Document, read_plan
from mpbake.resolve import Inputs, Overrides, resolve
from mpbake.schema import plan_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.plan import Plan, Target
    from mpbake.spec import PlanSpec

ROOT = Path("/plan")
"""The folder in which every plan of the tests pretends to lie."""
_SCHEMA = Draft7Validator(plan_schema())


def text(literal: str) -> str:
    """A literal without its indentation, and without the line breaks after and before the quotes."""
    return dedent(literal).strip("\n")


def read_text(toml: str, *, version: bool = True) -> tuple[Document, PlanSpec]:
    """Read a literal as `build.toml`; its first, empty line becomes `version = 1`, so lines count as they are seen."""
    written = dedent(toml)
    if version:
        written = "version = 1\n" + written.removeprefix("\n")
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(written.encode("utf-8", "surrogatepass"))
        file.flush()
        document, spec = read_plan(Path(file.name), shown="build.toml")
    # What mpbake takes, the schema that editors use must take too.
    assert refusals(document.data) == []
    return dataclasses.replace(document, path=ROOT / "build.toml"), spec


def refusals(data: Mapping[str, Any]) -> list[str]:
    """What an independent validator has against a plan, given the published schema: the key, and why."""
    found = sorted(_SCHEMA.iter_errors(data), key=lambda error: error.json_path)
    return [f"{error.json_path}: {error.message}" for error in found]


def resolve_text(
    toml: str,
    *,
    variables: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> Plan:
    """The plan that a literal means, in `/plan`, with these `--var`s, this environment and these overrides."""
    document, spec = read_text(toml)
    inputs = Inputs(
        variables=variables or {},
        values=values or {},
        environment=environment or {},
        overrides=Overrides(**overrides),
    )
    return resolve(document, spec, inputs)


def target_of_text(toml: str, name: str = "web", **inputs: Any) -> Target:
    """One target of a plan."""
    return resolve_text(toml, **inputs).targets[name]


def problems_of_text(toml: str, *, version: bool = True, **inputs: Any) -> str:
    """Everything that is wrong with a plan, as people read it."""
    with pytest.raises(PlanError) as caught:
        resolve_text(toml, **inputs) if version else read_text(toml, version=False)
    return str(caught.value)
