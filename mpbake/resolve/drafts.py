"""Targets with their own values known: inheritance, matrix, templates, overrides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.references import parse_fields
from mpbake.resolve.inheritance import Family, families
from mpbake.resolve.matrix import matrix_rows
from mpbake.resolve.naming import bad_name
from mpbake.spec import NAME, PlanSpec, Problem, TargetSpec
from mpbake.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.resolve.inputs import Overrides
    from mpbake.resolve.rendering import Rendering


# They make the rows, and are no part of one.
_NOT_OF_A_ROW = ("inherits", "matrix", "exclude")


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
    """One draft for each row of the family's matrix; without a matrix, one."""
    if not family.raw.get("matrix"):
        yield _draft(family, scope, rendering, overrides)
        return
    rows = matrix_rows(family, scope, rendering)
    if not rows:
        yield Draft(name=family.table, family=family, values=TargetSpec(), broken=True)
    for row in rows:
        yield _draft(family, scope | row, rendering, overrides)


def _draft(family: Family, scope: dict[str, Any], rendering: Rendering, overrides: Overrides) -> Draft:
    before = len(rendering.problems)
    raw = {name: value for name, value in family.raw.items() if name not in _NOT_OF_A_ROW}
    rendered = rendering.value(raw, scope, family.where)
    values = _overridden(rendering.table(TargetSpec, rendered, family.where), overrides)
    name = _name(family, values, rendering.problems) if len(rendering.problems) == before else values.name
    broken = len(rendering.problems) > before
    return Draft(name=name or family.table, family=family, values=values, broken=broken)


def _name(family: Family, values: TargetSpec, problems: list[Problem]) -> str:
    """What a target is called: as its table, or as a matrix says. What is wrong with that becomes a problem."""
    matrix = bool(family.raw.get("matrix"))
    if values.name and not matrix:
        message, hint = "only a matrix names its targets", "a target is called by its table; take the name away"
        problems.append(Problem(key=family.where(("name",)), message=message, hint=hint))
    name = values.name if matrix else family.table
    if not NAME.fullmatch(name):
        key = family.where(("name",)) if values.name else ("targets", family.table)
        problems.append(bad_name(key, name, matrix=matrix))
    return name


def _overridden(values: TargetSpec, overrides: Overrides) -> TargetSpec:
    changes: dict[str, Any] = {}
    if overrides.push is not None:
        changes["push"] = overrides.push and bool(values.tags)
        if not overrides.push:
            changes["output"] = [each for each in values.output if not pushes(each)]
    if overrides.builder:
        changes["builder"] = overrides.builder
    changes |= {name: True for name in ("load", "no_cache", "pull") if getattr(overrides, name)}
    return values.model_copy(update=changes) if changes else values


def pushes(output: str) -> bool:
    """Whether an `output` entry sends the image to a registry."""
    fields = parse_fields(output)
    return fields.get("type") == "registry" or fields.get("push") == "true"
