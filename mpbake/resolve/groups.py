"""Groups, and the names that people type."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.errors import UsageError
from mpbake.base.text import abbreviated, did_you_mean, one_line
from mpbake.model.plan import Group, Plan, Target
from mpbake.resolve.names import UnknownReferences, key_below, name_problem, topological_order
from mpbake.spec.problem import Problem
from mpbake.spec.value_types import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.resolve.targets.drafts import TargetDraft
    from mpbake.resolve.values import ValueRenderer
    from mpbake.spec.plan_tables import PlanSpec


def resolve_groups(
    spec: PlanSpec,
    targets: Mapping[str, Target],
    drafts: Mapping[str, TargetDraft],
    rendering: ValueRenderer,
    scope: Mapping[str, Any],
) -> dict[str, Group]:
    """Declared groups, and for each matrix a group of its rows under the table's name."""
    members: dict[str, list[str]] = {}
    for draft in drafts.values():
        if draft.name != draft.table:
            members.setdefault(draft.table, []).append(draft.name)
    matrices = set(members)
    # A group may list what is not enabled today: it is simply not in it.
    disabled = {draft.name for draft in drafts.values() if not draft.values.enabled}
    taken = [name for name in members if name in targets and not drafts[name].broken]
    rendering.problems.extend(_taken(name, drafts[name]) for name in taken)
    for name, group in spec.groups.items():
        members[name] = _members(name, group.targets, scope, rendering)
    # Where a group and a target have one name, which is told elsewhere, it is not known which of them is meant.
    leading = {name for name in members if name not in spec.groups or not _is_target(name, spec, targets)}
    edges = {name: [each for each in listed if each in leading] for name, listed in members.items()}
    groups: dict[str, Group] = {}
    unknown = UnknownReferences(Code.UNKNOWN_TARGET, dict.fromkeys((*targets, *members)))
    unnamed = [each for each in drafts.values() if each.is_unnamed]
    for name in topological_order(edges, key_below("groups"), rendering.problems):
        found: dict[str, Target] = {}
        for index, pattern in enumerate(members[name]):
            matched = _matching(pattern, targets, groups)
            known_otherwise = not pattern or name in matrices or pattern in members or pattern in disabled
            if not matched and not known_otherwise and not any(each.may_be(pattern) for each in unnamed):
                key: KeyPath = ("groups", name, "targets", index)
                rendering.problems.append(unknown.problem(pattern, key))
            found |= {target.name: target for target in matched}
        description = _description(name, spec, scope, rendering)
        groups[name] = Group(name=name, targets=tuple(found.values()), description=description)
    return {name: groups[name] for name in members if name in groups}


def _is_target(name: str, spec: PlanSpec, targets: Mapping[str, Target]) -> bool:
    """Whether a target, or the matrix that makes some, has the name."""
    return name in targets or (name in spec.targets and not name.startswith("_"))


def _description(name: str, spec: PlanSpec, scope: Mapping[str, Any], rendering: ValueRenderer) -> str:
    if name not in spec.groups:
        return spec.targets[name].description
    return str(rendering.value(spec.groups[name].description, scope, key_below("groups", name, "description")))


def _members(name: str, written: Any, scope: Mapping[str, Any], rendering: ValueRenderer) -> list[str]:
    where = key_below("groups", name, "targets")
    before = len(rendering.problems)
    listed = rendering.value(written, scope, where)
    if isinstance(listed, list) and all(isinstance(each, str) for each in listed):
        return listed
    if len(rendering.problems) == before:
        rendering.problems.append(Problem(code=Code.WRONG_TYPE, key=where(()), message="must be a list of names"))
    return []


def _taken(name: str, draft: TargetDraft) -> Problem:
    """The problem of a row that has the name of a whole matrix: the name would mean either."""
    message = f'"{one_line(name)}" is a target and a whole matrix'
    hint = "give each row of the matrix a name of its own"
    return Problem(code=Code.NAME_OF_MATRIX, key=("targets", draft.table), message=message, hint=hint)


def _matching(pattern: str, targets: Mapping[str, Target], groups: Mapping[str, Group]) -> list[Target]:
    if pattern in groups:
        return list(groups[pattern].targets)
    if pattern in targets:
        return [targets[pattern]]
    return [target for name, target in targets.items() if fnmatch.fnmatchcase(name, pattern)]


def check_names(spec: PlanSpec, targets: Mapping[str, Target], problems: list[Problem]) -> None:
    """A group needs a name of its own, and one that can be typed."""
    for name in spec.groups:
        if _is_target(name, spec, targets):
            message, hint = f'"{one_line(name)}" is a target too', "rename one of them"
            key: KeyPath = ("groups", name)
            problems.append(Problem(code=Code.GROUP_AND_TARGET, key=key, message=message, hint=hint, of_key=True))
        elif not NAME.fullmatch(name):
            problems.append(name_problem(("groups", name), name))


def select_targets(plan: Plan, names: Sequence[str]) -> tuple[Target, ...]:
    """The targets that `names` mean, each once, in their order.

    A name is a target, a group or a pattern; with `!` before it, what it means is left out. Without a name that takes
    something in, the group `default` is meant. Raises UsageError for a name that means nothing.
    """
    wanted = [name for name in names if not name.startswith("!")]
    found = _meant(plan, wanted) if wanted else _default(plan)
    for target in excluded_targets(plan, names):
        found.pop(target.name, None)
    if not found:
        raise UsageError(
            "nothing is left to build", hint="what is named is left out again with !, or is an empty group"
        )
    return tuple(found.values())


def excluded_targets(plan: Plan, names: Sequence[str]) -> tuple[Target, ...]:
    """The targets that `names` mean with `!` before them. Raises UsageError for a name that means nothing."""
    return tuple(_meant(plan, [each[1:] for each in names if each.startswith("!")]).values())


def has_default_group(plan: Plan) -> bool:
    """Whether it says what is meant without a name."""
    return "default" in plan.groups or "default" in plan.targets


def _default(plan: Plan) -> dict[str, Target]:
    if not has_default_group(plan):
        known = abbreviated([*plan.groups, *plan.targets]) or "none"
        raise UsageError('name what to build: the plan has no group "default"', hint=f"groups and targets: {known}")
    return _meant(plan, ["default"])


def _meant(plan: Plan, names: Sequence[str]) -> dict[str, Target]:
    """The targets that each of `names` means, by name."""
    found: dict[str, Target] = {}
    for name in names:
        matched = _matching(name, plan.targets, plan.groups)
        if name in plan.disabled:
            raise UsageError(
                f'target "{name}" is disabled', hint="its `enabled` says so, with the variables as they are"
            )
        if not matched and name not in plan.groups:
            known = [*plan.groups, *plan.targets]
            hint = did_you_mean(name, known, kind="groups and targets")
            raise UsageError(f'no target or group "{one_line(name)}"', hint=hint)
        found |= {target.name: target for target in matched}
    return found
