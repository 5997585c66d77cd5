"""Preflight checks of runs whose tags move together (`publish = "together"`). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.text import one_line
from mpbake.graph.links import linked_targets
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mpbake.model.plan import Target


def dependencies_on_shared_tags(targets: Iterable[Target]) -> Iterator[Problem]:
    """Yield a problem for each dependency of `targets`, or of linked targets, whose tags would move only at the end."""
    for target in dict.fromkeys(built for user in targets for built in (user, *linked_targets(user))):
        for need in target.needs:
            if need.push:
                name = one_line(need.name)
                reason = 'no tag moves before all targets are built (publish = "together")'
                message = f'{target.name}: needs "{name}", but {reason}'
                hint = f'link to it instead: contexts = {{ NAME = "target:{name}" }}, and FROM NAME in the Dockerfile'
                key = target.source_key(("needs",))
                yield Problem(code=Code.NEEDS_TOGETHER, key=key, message=message, hint=hint, culprit=need.table)
