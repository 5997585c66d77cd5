"""Files that a fresh checkout lacks: keys and certificates of nodes, secrets of builds, keys of ssh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.codes import Code

if TYPE_CHECKING:
    from mpbake.base.errors import KeyPath
    from mpbake.spec.problem import Problem

_OF_NODES = {"tls", "deploy"}
_OF_TARGETS = {"secret", "ssh"}


def is_missing_secret(problem: Problem) -> bool:
    """Return whether a problem is a missing file of `tls`, `deploy`, `secret` or `ssh`."""
    return problem.code is Code.MISSING_FILE and _is_secret(problem.key)


def _is_secret(key: KeyPath) -> bool:
    match key:
        case ("builders", _, "nodes", _, str(option), *_) | ("builders", _, str(option), *_):
            return option in _OF_NODES
        case (_, _, "platform", _, str(attribute), *_) | (_, _, str(attribute), *_):
            return attribute in _OF_TARGETS
        case _:
            return False
