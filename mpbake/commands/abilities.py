"""What a plan asks of buildx, held against what the one that was found can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.codes import Code
from mpbake.errors import PlanError
from mpbake.graph import linked
from mpbake.spec import ATTRIBUTES, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mpbake.document import Document
    from mpbake.plan import Target


def check_buildx(document: Document, targets: Iterable[Target], version: tuple[int, int]) -> None:
    """Raise PlanError for each attribute of `targets`, or of what they link to, that this buildx would ignore."""
    everything = dict.fromkeys(each for target in targets for each in (target, *linked(target)))
    problems = [problem for target in everything for problem in _too_new(target, version)]
    if problems:
        raise PlanError(document.diagnose(each) for each in problems)


def _too_new(target: Target, version: tuple[int, int]) -> Iterator[Problem]:
    for name in target.attributes:
        since = ATTRIBUTES[name].since
        if since > version:
            found, needed = (".".join(map(str, each)) for each in (version, since))
            message = (
                f"{target.name}: {name} works since buildx {needed}; the one found is {found}, and would ignore it"
            )
            hint = f"install buildx {needed} or newer, or take {name} away"
            yield Problem(code=Code.NEEDS_BUILDX, key=target.where((name,)), message=message, hint=hint)
