"""Which targets of a plan are as they are meant, though something is wrong with the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.model.plan import Target
    from mpbake.spec.plan_tables import PlanSpec
    from mpbake.spec.problem import Problem

_OF_THEIR_OWN = ("groups", "targets")
"""Tables of which each is right or wrong by itself; what stands elsewhere may be a part of any target."""


def sound_targets(spec: PlanSpec, targets: Mapping[str, Target], problems: Sequence[Problem]) -> tuple[Target, ...]:
    """Those of `targets` to which none of `problems` belongs, however they come by their values."""
    if not problems:
        return tuple(targets.values())
    counting = [each.key for each in problems]
    if any(not key or key[0] not in _OF_THEIR_OWN for key in counting):
        return ()
    wrong = {str(key[1]) for key in counting if key[0] == "targets"}
    tables = {name for name in spec.targets if not wrong.isdisjoint(_with_parents(name, spec))}
    unsound = {each for each in targets.values() if each.table in tables}
    return tuple(each for each in targets.values() if unsound.isdisjoint(_with_links(each)))


def _with_parents(name: str, spec: PlanSpec) -> set[str]:
    """A table, and all that it inherits, however far."""
    found, left = {name}, [name]
    while left:
        table = spec.targets.get(left.pop())
        more = {*table.inherits} - found if table else set()
        found |= more
        left += more
    return found


def _with_links(target: Target) -> set[Target]:
    """A target, and all that it links to, however far."""
    found, left = {target}, [target]
    while left:
        more = {*left.pop().every_link} - found
        found |= more
        left += more
    return found
