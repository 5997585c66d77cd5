"""Groups, and the selection of targets by the names on the command line."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.errors import UsageError
from mpbake.base.text import abbreviated, did_you_mean, one_line
from mpbake.model.plan import Group, Plan, Target
from mpbake.resolve.names import UnknownReferences, key_below, name_problem, topological_order
from mpbake.spec.problem import Problem
from mpbake.spec.tables.value_types import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.resolve.targets.drafts import TargetDraft
    from mpbake.resolve.values import ValueRenderer
    from mpbake.spec.tables.plan_tables import PlanSpec


def resolve_groups(
    spec: PlanSpec,
    targets: Mapping[str, Target],
    drafts: Mapping[str, TargetDraft],
    renderer: ValueRenderer,
    scope: Mapping[str, Any],
) -> dict[str, Group]:
    """Return the declared groups and, for each matrix, a group of its rows under the name of its table."""
    rows = _matrix_rows(drafts)
    ambiguous = [name for name in rows if name in targets and not drafts[name].broken]
    renderer.problems.extend(_matrix_name_problem(name, drafts[name]) for name in ambiguous)
    groups = {name: _matrix_group(name, names, spec, targets) for name, names in rows.items()}
    members = {name: _members(name, group.targets, scope, renderer) for name, group in spec.groups.items()}
    # In a group that has the name of a target or matrix, this name is the target or matrix.
    own_names = {name for name in members if name in drafts or name in rows}
    edges = {
        name: [member for member in listed if member in members and (member != name or name not in own_names)]
        for name, listed in members.items()
    }
    # A resolved group leaves out disabled targets.
    disabled = {draft.name for draft in drafts.values() if not draft.values.enabled}
    unknown = UnknownReferences(Code.UNKNOWN_TARGET, dict.fromkeys((*targets, *groups, *members)))
    unnamed = [draft for draft in drafts.values() if draft.is_unnamed]
    for name in topological_order(edges, key_below("groups"), renderer.problems):
        selected: dict[str, Target] = {}
        for index, pattern in enumerate(members[name]):
            matched = _matching(pattern, targets, groups)
            is_known = not pattern or pattern in rows or pattern in members or pattern in disabled
            if not matched and not is_known and not any(draft.could_be_named(pattern) for draft in unnamed):
                key: KeyPath = ("groups", name, "targets", index)
                renderer.problems.append(unknown.problem(pattern, key))
            selected |= {target.name: target for target in matched}
        description = _description(name, spec, scope, renderer)
        groups[name] = Group(name=name, targets=tuple(selected.values()), description=description)
    return {name: groups[name] for name in (*rows, *members)}


def _matrix_rows(drafts: Mapping[str, TargetDraft]) -> dict[str, list[str]]:
    """Return the names of the rows of each matrix, by the name of its table."""
    rows: dict[str, list[str]] = {}
    for draft in drafts.values():
        if draft.name != draft.table_name:
            rows.setdefault(draft.table_name, []).append(draft.name)
    return rows


def _matrix_group(name: str, rows: Sequence[str], spec: PlanSpec, targets: Mapping[str, Target]) -> Group:
    """Return the group of the enabled rows of a matrix."""
    enabled = tuple(targets[row] for row in rows if row in targets)
    return Group(name=name, targets=enabled, description=spec.targets[name].description)


def _description(name: str, spec: PlanSpec, scope: Mapping[str, Any], renderer: ValueRenderer) -> str:
    return str(renderer.render(spec.groups[name].description, scope, key_below("groups", name, "description")) or "")


def _members(name: str, written: Any, scope: Mapping[str, Any], renderer: ValueRenderer) -> list[str]:
    key_of = key_below("groups", name, "targets")
    problems_before = len(renderer.problems)
    members = renderer.render(written, scope, key_of)
    members = [] if members is None else members
    if isinstance(members, list):
        members = ["" if member is None else member for member in members]  # indices still match the plan
    if isinstance(members, list) and all(isinstance(member, str) for member in members):
        return members
    if len(renderer.problems) == problems_before:
        renderer.problems.append(Problem(code=Code.WRONG_TYPE, key=key_of(()), message="must be a list of names"))
    return []


def _matrix_name_problem(name: str, draft: TargetDraft) -> Problem:
    """Return the problem of a row with the name of a matrix: a reference to this name would be ambiguous."""
    message = f'"{one_line(name)}" is both a target and a matrix'
    hint = "give each row of the matrix its own name"
    return Problem(code=Code.NAME_OF_MATRIX, key=("targets", draft.table_name), message=message, hint=hint)


def _matching(pattern: str, targets: Mapping[str, Target], groups: Mapping[str, Group]) -> list[Target]:
    if pattern in groups:
        return list(groups[pattern].targets)
    if pattern in targets:
        return [targets[pattern]]
    return [target for name, target in targets.items() if fnmatch.fnmatchcase(name, pattern)]


def check_names(spec: PlanSpec, problems: list[Problem]) -> None:
    """Report groups with invalid names."""
    problems.extend(name_problem(("groups", name), name) for name in spec.groups if not NAME.fullmatch(name))


def select_targets(plan: Plan, names: Sequence[str]) -> tuple[Target, ...]:
    """Return the targets that `names` select, each once, in the order of `names`.

    A name is a group, a target or a pattern. If a group and a target have the same name, the name is the group. `!`
    before a name excludes the targets of that name. If no name selects targets, the group `default` is used. Raises
    UsageError for an unknown name.
    """
    included = [name for name in names if not name.startswith("!")]
    selected = _targets_named(plan, included) if included else _default_targets(plan)
    for target in excluded_targets(plan, names):
        selected.pop(target.name, None)
    if not selected:
        raise UsageError(
            "no target is selected", hint="remove an exclusion with `!`, or name a group that is not empty"
        )
    return tuple(selected.values())


def excluded_targets(plan: Plan, names: Sequence[str]) -> tuple[Target, ...]:
    """Return the targets of the `names` that start with `!`. Raises UsageError for an unknown name."""
    return tuple(_targets_named(plan, [name[1:] for name in names if name.startswith("!")]).values())


def has_default_group(plan: Plan) -> bool:
    """Whether the plan has a group or target `default`."""
    return "default" in plan.groups or "default" in plan.targets


def _default_targets(plan: Plan) -> dict[str, Target]:
    if not has_default_group(plan):
        known = abbreviated([*plan.groups, *plan.targets]) or "none"
        raise UsageError('the plan has no group "default"', hint=f"name what to build; groups and targets: {known}")
    return _targets_named(plan, ["default"])


def _targets_named(plan: Plan, names: Sequence[str]) -> dict[str, Target]:
    """Return the targets that `names` match, by name."""
    selected: dict[str, Target] = {}
    for name in names:
        matched = _matching(name, plan.targets, plan.groups)
        if name in plan.disabled and name not in plan.groups:
            raise UsageError(
                f'target "{name}" is disabled', hint="check its `enabled` and the values of the variables in it"
            )
        if not matched and name not in plan.groups:
            known = [*plan.groups, *plan.targets]
            hint = did_you_mean(name, known, kind="groups and targets")
            raise UsageError(f'unknown target or group "{one_line(name)}"', hint=hint)
        selected |= {target.name: target for target in matched}
    return selected
