"""Select the targets that are valid even if other tables of the plan have problems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.resolve.names import parent_graph, written_parents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.model.plan import Target
    from mpbake.spec.problem import Problem
    from mpbake.spec.tables.plan_tables import PlanSpec

_INDEPENDENT_TABLES = ("groups", "targets")
"""The tables in which a problem affects only one group or target.

A problem in any other table may affect every target.
"""


def valid_targets(spec: PlanSpec, targets: Mapping[str, Target], problems: Sequence[Problem]) -> tuple[Target, ...]:
    """Return the targets without problems of their own, of an inherited table, or of a linked target."""
    if not problems:
        return tuple(targets.values())
    keys = [problem.key for problem in problems]
    if any(not key or key[0] not in _INDEPENDENT_TABLES for key in keys):
        return ()
    invalid_names = {str(key[1]) for key in keys if key[0] == "targets"}
    parents = parent_graph({name: written_parents(table.inherits) for name, table in spec.targets.items()}, targets)
    invalid_tables = {name for name in spec.targets if not invalid_names.isdisjoint(_with_parents(name, parents))}
    invalid = {target for target in targets.values() if target.table in invalid_tables}
    return tuple(target for target in targets.values() if invalid.isdisjoint(_with_links(target)))


def _with_parents(name: str, parents: Mapping[str, set[str]]) -> set[str]:
    """Return the names of a table and of all its direct and indirect parents."""
    names, pending = {name}, [name]
    while pending:
        fresh = parents.get(pending.pop(), set()) - names
        names |= fresh
        pending += fresh
    return names


def _with_links(target: Target) -> set[Target]:
    """Return a target and all directly or indirectly linked targets."""
    targets, pending = {target}, [target]
    while pending:
        linked = {*pending.pop().every_link} - targets
        targets |= linked
        pending += linked
    return targets
