"""Certificates and configurations that a run needs: what is wrong with them is told before it starts, with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.files import is_file
from mpbake.base.text import one_line
from mpbake.graph.placement import place
from mpbake.model.plan import TlsFiles
from mpbake.spec.spec import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Node, Target


def certificate_problems(
    targets: Iterable[Target], only: Mapping[Target, Sequence[Platform]], now: datetime
) -> Iterator[Problem]:
    """What is wrong with, or doubtful about, certificates and configurations of nodes on which `targets` may be built.

    `only` holds platforms that stand in for those of a target.
    """
    for node in _candidates(targets, only):
        yield from _of_configuration(node)
        yield from _problems(node, now)


def _candidates(targets: Iterable[Target], only: Mapping[Target, Sequence[Platform]]) -> dict[Node, None]:
    """The nodes with files on which a platform of a target may be placed."""
    with_files = [each for each in targets if any(map(_has_files, each.builder.nodes))]
    pieces = (piece for each in with_files for piece in place(each, {}, only.get(each, ())).pieces)
    return dict.fromkeys(node for piece in pieces for node in piece.nodes if _has_files(node))


def _has_files(node: Node) -> bool:
    """Whether files are to be there for a node. The default builder may be an engine, which needs none."""
    return node.tls != TlsFiles() or (node.config_file is not None and not node.driver.rules.is_automatic)


def _of_configuration(node: Node) -> Iterator[Problem]:
    if node.config_file is not None and not is_file(node.config_file):
        message = f"there is no file {one_line(str(node.config_file))}"
        hint = "paths count from the folder of the file that states them"
        yield Problem(code=Code.MISSING_FILE, key=node.config_at, message=message, hint=hint)


def _problems(node: Node, now: datetime) -> Iterator[Problem]:
    from mpbake.graph.preflight.certificates import certificate_findings  # noqa: PLC0415 - Docker's part is slow, and few plans need this

    for each in certificate_findings(node, now):
        key = ("builders", node.builder, "nodes", node.name, "tls", each.field)
        yield Problem(code=each.code, key=key, message=each.message, hint=each.hint)
