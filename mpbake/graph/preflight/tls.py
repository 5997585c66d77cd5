"""Preflight checks of the files of nodes: certificates and BuildKit configurations, reported with their lines."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.files import is_file
from mpbake.base.text import one_line
from mpbake.certs.finding import PATH_HINT
from mpbake.certs.node_files import server_files
from mpbake.graph.placement import place
from mpbake.graph.preflight.certificates import certificate_findings, deployment_findings
from mpbake.model.plan import TlsFiles
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mpbake.base.platforms import Platform
    from mpbake.certs.finding import CertificateFinding
    from mpbake.model.plan import Node, Target
    from mpbake.model.reading import MayRead


def certificate_problems(
    targets: Iterable[Target], only: Mapping[Target, Sequence[Platform]], now: datetime, may_read: MayRead
) -> Iterator[Problem]:
    """Yield problems and warnings about certificates and configurations of nodes that may build `targets`.

    `only` maps targets to platforms that replace their declared platforms.
    """
    for node in _candidates(targets, only):
        yield from _configuration_problems(node)
        unread = _unread(node, "tls", node.tls, may_read)
        yield from unread or _problems(node, certificate_findings(node, now))


def _candidates(targets: Iterable[Target], only: Mapping[Target, Sequence[Platform]]) -> dict[Node, None]:
    """Return the candidate nodes of `targets` that have files."""
    with_files = [target for target in targets if any(map(_has_files, target.builder.nodes))]
    pieces = (piece for target in with_files for piece in place(target, {}, only.get(target, ())).pieces)
    return dict.fromkeys(node for piece in pieces for node in piece.nodes if _has_files(node))


def _has_files(node: Node) -> bool:
    """Whether a node uses files. The default builder may be an engine, which needs none."""
    return node.tls != TlsFiles() or (node.config_file is not None and not node.driver.rules.is_automatic)


def _configuration_problems(node: Node) -> Iterator[Problem]:
    if node.config_file is not None and not is_file(node.config_file):
        message = f"there is no file {one_line(str(node.config_file))}"
        yield Problem(code=Code.MISSING_FILE, key=node.config_key, message=message, hint=PATH_HINT)


def deployment_problems(nodes: Iterable[Node], now: datetime, may_read: MayRead) -> Iterator[Problem]:
    """Yield problems and warnings for the certificates of the BuildKits that mpbake deploys for `nodes`."""
    for node in nodes:
        unread = _unread(node, "deploy.tls", server_files(node) or TlsFiles(), may_read)
        yield from unread
        # mpbake compares the certificate of the server with the files of its clients.
        if not unread and not _unread(node, "tls", node.tls, may_read):
            yield from _problems(node, deployment_findings(node, now))


def _unread(node: Node, table: str, files: TlsFiles, may_read: MayRead) -> list[Problem]:
    """Return a warning if mpbake may not read some of the `files` of a node; `table` is their key in its table."""
    outside = {name: path for name, path in files.files.items() if not may_read(path)}
    if not outside:
        return []
    keys = ", ".join(f"{table}.{name}" for name in outside)
    folder = os.path.commonpath([path.parent for path in outside.values()])
    message = f"mpbake does not check {keys}: outside of the plan's folder"
    hint = f"to check these files, add: --allow {one_line(shlex.quote(f'fs.read={folder}'))}"
    key = ("builders", node.builder, "nodes", node.name, *table.split("."))
    return [Problem(code=Code.UNREAD_FILE, key=key, message=message, hint=hint)]


def _problems(node: Node, findings: Iterable[CertificateFinding]) -> Iterator[Problem]:
    for finding in findings:
        key = ("builders", node.builder, "nodes", node.name, *finding.key)
        yield Problem(code=finding.code, key=key, message=finding.message, hint=finding.hint)
