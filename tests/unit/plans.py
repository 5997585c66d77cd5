"""Helpers for tests of plans: the input is TOML text, the result is the resolved plan or the exact messages."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator

from mpbake.base.codes import Severity
from mpbake.base.errors import PlanError, key_path_text
from mpbake.base.text import one_line, printable
from mpbake.graph.preflight.deletions import deletion_problems
from mpbake.graph.preflight.paths import missing_paths
from mpbake.graph.preflight.tls import certificate_problems
from mpbake.model.grants import parse_allowances
from mpbake.model.reading import ReadAccess
from mpbake.resolve import Inputs, Overrides, parse_overrides, resolve, resolve_partially
from mpbake.spec.files.loader import read_plan
from mpbake.spec.schema import plan_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mpbake.base.errors import Diagnostic
    from mpbake.graph.dag import Selection
    from mpbake.model.plan import Plan, Target
    from mpbake.spec.files.plan_files import PlanFiles
    from mpbake.spec.tables.plan_tables import PlanSpec

ROOT = Path("/plan")
"""The folder of every plan in the tests. It does not exist."""
_SCHEMA = Draft7Validator(plan_schema())


def text(literal: str) -> str:
    """Return a text without its indentation and without the line breaks next to its quotes."""
    return dedent(literal).strip("\n")


def read_text(toml: str, *, version: bool = True, settings: Sequence[str] = ()) -> tuple[PlanFiles, PlanSpec]:
    """Read a text as `build.toml`. Its first, empty line becomes `version = 1`, so that line numbers match."""
    written = dedent(toml)
    if version:
        written = "version = 1\n" + written.removeprefix("\n")
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(written.encode("utf-8", "surrogatepass"))
        file.flush()
        plan_files, spec = read_plan([Path(file.name)], show=lambda _: "build.toml", settings=settings)
    # the published schema must accept every plan that mpbake accepts
    assert refusals(plan_files.data) == []
    main = dataclasses.replace(plan_files.main, path=ROOT / "build.toml")
    return dataclasses.replace(plan_files, main=main, sources=(main,), access=ReadAccess(folder=ROOT)), spec


def refusals(data: Mapping[str, Any]) -> list[str]:
    """Validate a plan against the published schema with another validator. Return the errors with their keys."""
    errors = sorted(_SCHEMA.iter_errors(data), key=lambda error: error.json_path)
    return [f"{error.json_path}: {error.message}" for error in errors]


def resolve_text(
    toml: str,
    *,
    variables: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
    settings: Sequence[str] = (),
    relative: bool = False,
    **overrides: Any,
) -> Plan:
    """Resolve a text as a plan in `/plan`, with values of `--var` and `--set`, an environment and overrides.

    With `relative`, paths stay relative to the plan's folder, as for a review.
    """
    plan_files, spec = read_text(toml, settings=settings)
    plan_files = dataclasses.replace(plan_files, relative=relative)
    inputs = Inputs(
        variables=variables or {},
        values=values or {},
        environment=environment or {},
        overrides=Overrides(**overrides),
        set_overrides=parse_overrides(settings),
    )
    return resolve(plan_files, spec, inputs)


def read_files(
    folder: Path, files: Mapping[str, str], *named: str, settings: Sequence[str] = (), allow: Sequence[str] = ()
) -> tuple[PlanFiles, PlanSpec]:
    """Write texts as files, and read the `named` files, or `build.toml`. Messages show these names.

    `allow` are values of `--allow`. A first, empty line of a text becomes `version = 1`, as in `read_text`.
    """
    for name, toml in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        written = dedent(toml)
        path.write_text("version = 1" + written if written.startswith("\n") else written, encoding="utf-8")
    paths = [folder / name for name in named or ("build.toml",)]
    root = paths[0].parent
    access = ReadAccess(folder=root, allowances=parse_allowances(allow, str(root)))
    return read_plan(paths, show=lambda path: os.path.relpath(path, folder), settings=settings, access=access)


def resolve_files(
    folder: Path,
    files: Mapping[str, str],
    *named: str,
    settings: Sequence[str] = (),
    allow: Sequence[str] = (),
    **overrides: Any,
) -> Plan:
    """Resolve a plan that consists of several files."""
    plan_files, spec = read_files(folder, files, *named, settings=settings, allow=allow)
    inputs = Inputs(set_overrides=parse_overrides(settings), overrides=Overrides(**overrides))
    return resolve(plan_files, spec, inputs)


def problems_of_bytes(folder: Path, content: bytes) -> str:
    """Return the problems of a plan file with these bytes, in short form."""
    path = folder / "build.toml"
    path.write_bytes(content)
    with pytest.raises(PlanError) as caught:
        read_plan([path], show=lambda _: "build.toml")
    return in_short(caught.value)


def problems_of_files(
    folder: Path, files: Mapping[str, str], *named: str, settings: Sequence[str] = (), allow: Sequence[str] = ()
) -> str:
    """Return the problems of a plan of several files, in short form."""
    with pytest.raises(PlanError) as caught:
        resolve_files(folder, files, *named, settings=settings, allow=allow)
    return in_short(caught.value)


def target_of_text(toml: str, name: str = "web", **inputs: Any) -> Target:
    """Return one target of a plan."""
    return resolve_text(toml, **inputs).targets[name]


def problems_of_text(toml: str, *, version: bool = True, **inputs: Any) -> str:
    """Return the problems of a plan, in short form. The golden files contain the full output."""
    with pytest.raises(PlanError) as caught:
        resolve_text(toml, **inputs) if version else read_text(toml, version=False)
    return in_short(caught.value)


def clashes_of_text(toml: str) -> str:
    """Return the tags that two targets of a plan push, as problems in short form. A run of one target is allowed."""
    plan_files, spec = read_text(toml)
    return in_short(PlanError(resolve_partially(plan_files, spec, Inputs()).clashes))


def in_short(error: PlanError) -> str:
    """Return the diagnostics without their columns, marks and codes."""
    return "\n".join(_in_short(diagnostic) for diagnostic in error.diagnostics)


def _in_short(diagnostic: Diagnostic) -> str:
    place = diagnostic.location
    parts, excerpt = [], ""
    if place:
        parts = [one_line(f"{place.file}:{place.line}" if place.line else place.file), key_path_text(place.key)]
        excerpt = one_line(place.excerpt.strip())
    lines = [": ".join([*filter(None, parts), printable(diagnostic.message)])]
    lines += [f"    {excerpt}"] if excerpt else []
    lines += [f"  = {printable(diagnostic.hint)}"] if diagnostic.hint else []
    return "\n".join(lines)


def check_files(plan_files: PlanFiles, chosen: Selection, environment: Mapping[str, str], now: datetime) -> None:
    """Raise PlanError if a preflight check of files reports an error: missing paths, deletions or certificates."""
    problems = (
        *missing_paths(chosen.targets, plan_files.root, environment),
        *deletion_problems(chosen.targets, plan_files.root, os.path.realpath),
        *certificate_problems(chosen.targets, chosen.only, now, lambda _: True),
    )
    errors = [problem for problem in problems if problem.code.severity is Severity.ERROR]
    if errors:
        raise PlanError(plan_files.diagnose(error) for error in errors)
