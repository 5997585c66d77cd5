"""Errors of nodes with any driver. The node's driver provides the known causes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError
from mpbake.buildkit.nodes.causes import is_refused
from mpbake.buildkit.nodes.drivers.table import back_end_of
from mpbake.buildkit.nodes.failure_causes import error_output, explain_by, unreachable_by

if TYPE_CHECKING:
    from mpbake.base.errors import MpbakeError
    from mpbake.buildkit.process.completed import Completed
    from mpbake.model.plan import Node

_UNIMPORTANT = re.compile(r"\blevel=(debug|info|warning)\b")
"""A line in BuildKit's log that reports no error."""


def explain(node: Node, output: str) -> tuple[str, str]:
    """Return why `node` cannot be used and a hint, from the whole `output` of a command."""
    return explain_by(back_end_of(node).causes, node, output)


def hint_from_log(node: Node, log: str) -> str:
    """Return a hint for a node whose last `log` is given; empty if the cause is unknown."""
    return explain(node, "\n".join(line for line in log.splitlines() if not _UNIMPORTANT.search(line)))[1]


def unusable(node: Node, completed: Completed, complaint: str = "") -> MpbakeError:
    """Return the error for a `node` that cannot be used: UsageError if buildx rejects its options, else Unreachable."""
    error = unreachable_by(back_end_of(node).causes, node, completed, complaint)
    is_rejected = is_refused(error_output(completed, complaint))
    return UsageError(error.message, hint=error.hint) if is_rejected else error
