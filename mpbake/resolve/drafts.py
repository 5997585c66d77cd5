"""Targets with their own values known: inheritance, matrix, templates, overrides."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mpbake.references import parse_fields
from mpbake.resolve.naming import bad_name, ordered, stated, unknown
from mpbake.spec import ATTRIBUTES, NAME, Attribute, Merge, PlanSpec, Problem, TargetSpec
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

    `table` is where it stands in the file, `chain` that table and its ancestors, nearest first. A `broken` one has
    been complained of already: it still exists for those who refer to it, but draws no further complaints.
    """

    name: str
    table: str
    values: TargetSpec
    chain: tuple[str, ...]
    broken: bool = False


def draft_targets(
    spec: PlanSpec, scope: dict[str, Any], rendering: Rendering, overrides: Overrides
) -> dict[str, Draft]:
    """One draft for each target, or for each row of its matrix, in the plan's order."""
    drafts: dict[str, Draft] = {}
    order = _inheritance_order(spec, rendering.problems)
    merged: dict[str, dict[str, Any]] = {}
    chains: dict[str, tuple[str, ...]] = {}
    for table in order:
        parents = [name for name in spec.targets[table].inherits if name in merged]
        merged[table] = _merge([merged[name] for name in parents], spec.targets[table].written())
        chains[table] = tuple(dict.fromkeys(link for name in (*reversed(parents),) for link in (name, *chains[name])))
    for table in spec.targets:
        if table.startswith("_"):
            continue
        family = _Family(table=table, raw=merged[table], chain=(table, *chains[table]), spec=spec)
        for draft in _rows(family, scope, rendering, overrides):
            if draft.name in drafts and not draft.broken:
                message = f'two targets are called "{one_line(draft.name)}"'
                hint = "give each row of the matrix a name of its own"
                rendering.problems.append(Problem(key=("targets", table), message=message, hint=hint))
            drafts[draft.name] = draft
    return drafts


def _inheritance_order(spec: PlanSpec, problems: list[Problem]) -> list[str]:
    """Parents before children. Cycles and unknown parents become problems; what is left is still ordered."""
    edges: dict[str, list[str]] = {}
    for name, target in spec.targets.items():
        edges[name] = [parent for parent in target.inherits if parent in spec.targets]
        for index, parent in enumerate(target.inherits):
            if parent not in spec.targets:
                key: KeyPath = ("targets", name, "inherits", index)
                problems.append(unknown("target", parent, spec.targets, key))
    return ordered(edges, lambda name: ("targets", name, "inherits"), problems)


def _merge(parents: Iterable[Mapping[str, Any]], own: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes left to right, own last, each combined as its declaration says."""
    merged: dict[str, Any] = {}
    for values in (*parents, own):
        for name, value in values.items():
            attribute = ATTRIBUTES[name]
            if attribute.merge is not Merge.OWN or values is own:
                merged[name] = _combined(attribute, merged.get(name), value)
    return merged


def _combined(attribute: Attribute, before: Any, value: Any) -> Any:
    if isinstance(value, str) or type(before) is not type(value):  # one of them is a template: it replaces
        return value
    match attribute.merge:
        case Merge.APPEND:
            return before + value
        case Merge.BY_KEY:
            return before | value
        case Merge.BY_FIELD:
            return list(
                (
                    {_identity(attribute, item): item for item in before}
                    | {_identity(attribute, item): item for item in value}
                ).values()
            )
        case _:
            return value


def _identity(attribute: Attribute, entry: str) -> str:
    try:
        fields = parse_fields(entry)
    except ValueError:  # a template that makes sense only when it is rendered
        return entry
    return fields.get(attribute.identity) or next(iter(fields), "")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Family:
    """A table under `[targets]` with its inherited values; `chain` lists it and its ancestors, nearest first."""

    table: str
    raw: Mapping[str, Any]
    chain: tuple[str, ...]
    spec: PlanSpec

    def where(self, path: KeyPath) -> KeyPath:
        """The table that states the value at `path`: the target's own, else the nearest ancestor's."""
        return stated(self.spec, self.chain, path)


def _rows(family: _Family, scope: dict[str, Any], rendering: Rendering, overrides: Overrides) -> Iterable[Draft]:
    before = len(rendering.problems)
    matrix = _matrix(family, scope, rendering)
    if len(rendering.problems) > before:
        yield Draft(name=family.table, table=family.table, values=TargetSpec(), chain=family.chain, broken=True)
        return
    raw = {name: value for name, value in family.raw.items() if name not in {"inherits", "matrix"}}
    for row in _combinations(matrix):
        before = len(rendering.problems)
        rendered = rendering.value(raw, scope | row, family.where)
        values = _overridden(rendering.table(TargetSpec, rendered, family.where), overrides)
        name = values.name if matrix else family.table
        if not NAME.fullmatch(name) and len(rendering.problems) == before:
            key = family.where(("name",)) if values.name else ("targets", family.table)
            rendering.problems.append(bad_name(key, name, matrix=bool(matrix)))
        broken = len(rendering.problems) > before
        yield Draft(name=name or family.table, table=family.table, values=values, chain=family.chain, broken=broken)


def _matrix(family: _Family, scope: Mapping[str, Any], rendering: Rendering) -> dict[str, list[Any]]:
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
