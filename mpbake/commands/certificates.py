"""Certificates that a run would need: what is wrong with them is told before anything starts, and with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.codes import Severity
from mpbake.errors import PlanError
from mpbake.placement import place
from mpbake.plan import Tls
from mpbake.spec import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mpbake.document import Document
    from mpbake.graph import Selection
    from mpbake.plan import Node, Target
    from mpbake.platforms import Platform


def check_certificates(document: Document, chosen: Selection, now: datetime) -> None:
    """Raise PlanError for every certificate or key of a node that may be used and that cannot be right."""
    found = certificate_problems(chosen.targets, chosen.only, now)
    wrong = [each for each in found if each.code.severity is Severity.ERROR]
    if wrong:
        raise PlanError(document.diagnose(each) for each in wrong)


def certificate_problems(
    targets: Iterable[Target], only: Mapping[Target, Sequence[Platform]], now: datetime
) -> Iterator[Problem]:
    """What is wrong with, or doubtful about, certificates of nodes on which `targets` may be built.

    `only` holds platforms that stand in for those of a target.
    """
    for node in _candidates(targets, only):
        yield from _problems(node, now)


def _candidates(targets: Iterable[Target], only: Mapping[Target, Sequence[Platform]]) -> dict[Node, None]:
    """The nodes with certificates on which a platform of a target may be placed."""
    secured = [each for each in targets if any(node.tls != Tls() for node in each.builder.nodes)]
    pieces = (piece for each in secured for piece in place(each, {}, only.get(each, ())).pieces)
    return dict.fromkeys(node for piece in pieces for node in piece.nodes if node.tls != Tls())


def _problems(node: Node, now: datetime) -> Iterator[Problem]:
    from mpbake.buildkit.certificates import judge  # noqa: PLC0415 - Docker's part is slow, and few plans need this

    for each in judge(node, now):
        key = ("builders", node.builder, "nodes", node.name, "tls", each.field)
        yield Problem(code=each.code, key=key, message=each.message, hint=each.hint)
