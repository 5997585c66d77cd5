"""Targets with their own values known: inheritance, matrix, templates, overrides."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mpbake.references import parse_fields
from mpbake.resolve.inheritance import Family, families
from mpbake.resolve.naming import bad_name
from mpbake.spec import NAME, PlanSpec, Problem, TargetSpec
from mpbake.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mpbake.errors import KeyPath
    from mpbake.resolve.inputs import Overrides
    from mpbake.resolve.rendering import Rendering


MAX_ROWS = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A target whose own values are known, but not yet what they refer to.

    `family` is the table that made it. A `broken` one has been complained of already: it still exists for those who
    refer to it, but draws no further complaints.
    """

    name: str
    family: Family
    values: TargetSpec
    broken: bool = False

    @property
    def table(self) -> str:
        """The table under `[targets]` that made it."""
        return self.family.table


def draft_targets(
    spec: PlanSpec, scope: dict[str, Any], rendering: Rendering, overrides: Overrides
) -> dict[str, Draft]:
    """One draft for each target, or for each row of its matrix, in the plan's order."""
    drafts: dict[str, Draft] = {}
    for table, family in families(spec, rendering.problems).items():
        if table.startswith("_"):
            continue
        for draft in _rows(family, scope, rendering, overrides):
            if draft.name in drafts and not draft.broken:
                message = f'two targets are called "{one_line(draft.name)}"'
                hint = "give each row of the matrix a name of its own"
                rendering.problems.append(Problem(key=("targets", table), message=message, hint=hint))
            drafts[draft.name] = draft
    return drafts


def _rows(family: Family, scope: dict[str, Any], rendering: Rendering, overrides: Overrides) -> Iterable[Draft]:
    before = len(rendering.problems)
    matrix = _matrix(family, scope, rendering)
    if len(rendering.problems) > before:
        yield Draft(name=family.table, family=family, values=TargetSpec(), broken=True)
        return
    raw = {name: value for name, value in family.raw.items() if name not in {"inherits", "matrix"}}
    for row in _combinations(matrix):
        before = len(rendering.problems)
        rendered = rendering.value(raw, scope | row, family.where)
        values = _overridden(rendering.table(TargetSpec, rendered, family.where), overrides)
        name = values.name if matrix else family.table
        if values.name and not matrix:
            hint = "a target is called by its table; take the name away"
            message = "only a matrix names its targets"
            rendering.problems.append(Problem(key=family.where(("name",)), message=message, hint=hint))
        if not NAME.fullmatch(name) and len(rendering.problems) == before:
            key = family.where(("name",)) if values.name else ("targets", family.table)
            rendering.problems.append(bad_name(key, name, matrix=bool(matrix)))
        broken = len(rendering.problems) > before
        yield Draft(name=name or family.table, family=family, values=values, broken=broken)


def _matrix(family: Family, scope: Mapping[str, Any], rendering: Rendering) -> dict[str, list[Any]]:
    """The matrix with its lists filled in; what is wrong with it becomes problems.

    An empty string is a value like any other here: `suffix = ["", "-debug"]`.
    """
    key: KeyPath = ("targets", family.table, "matrix")
    matrix = {}
    for name, values in family.raw.get("matrix", {}).items():
        path: KeyPath = ("matrix", name)
        if isinstance(values, list):
            matrix[name] = [rendering.value(each, scope, family.where, (*path, at)) for at, each in enumerate(values)]
        else:
            matrix[name] = rendering.value(values, scope, family.where, path)
    rows = 1
    for name, values in matrix.items():
        if not isinstance(values, list) or not values:
            message = "must be a list with at least one value"
            rendering.problems.append(Problem(key=(*key, name), message=message))
            continue
        rows *= len(values)
        if not name.isidentifier():
            message = f'"{one_line(name)}" is no variable name'
            hint = "use letters, digits and underscores"
            rendering.problems.append(Problem(key=(*key, name), message=message, hint=hint))
        if name in scope:
            message = f'"{one_line(name)}" is a variable too'
            rendering.problems.append(Problem(key=(*key, name), message=message, hint="rename one of them"))
    if rows > MAX_ROWS:
        message = f"makes {rows} targets; at most {MAX_ROWS} are allowed"
        rendering.problems.append(Problem(key=key, message=message))
    return cast("dict[str, list[Any]]", matrix)


def _combinations(matrix: Mapping[str, list[Any]]) -> Iterable[dict[str, Any]]:
    return (dict(zip(matrix, values, strict=True)) for values in itertools.product(*matrix.values()))


def _overridden(values: TargetSpec, overrides: Overrides) -> TargetSpec:
    changes: dict[str, Any] = {}
    if overrides.push is not None:
        changes["push"] = overrides.push and bool(values.tags)
        if not overrides.push:
            changes["output"] = [each for each in values.output if not pushes(each)]
    if overrides.platforms:
        changes["platforms"] = list(overrides.platforms)
    if overrides.builder:
        changes["builder"] = overrides.builder
    changes |= {name: True for name in ("load", "no_cache", "pull") if getattr(overrides, name)}
    return values.model_copy(update=changes) if changes else values


def pushes(output: str) -> bool:
    """Whether an `output` entry sends the image to a registry."""
    fields = parse_fields(output)
    return fields.get("type") == "registry" or fields.get("push") == "true"
