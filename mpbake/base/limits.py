"""How many files this process may have open, and so how many docker commands it may run at once."""

from __future__ import annotations

import resource

_WANTED = 8192
"""Descriptors that are asked for; systems allow 256 or 1024 by themselves, and more to who asks."""
_EACH = 12
"""Those of a thread that runs a docker command: its streams and its log, a second command, and what starts them."""
_BESIDE = 64
"""Those of all else."""


def affordable_threads(threads: int) -> int:
    """How many of `threads` may run docker commands at once: all of them, unless the system forbids it."""
    return max(min(threads, (_allowed() - _BESIDE) // _EACH), 1)


def _allowed() -> int:
    """How many descriptors this process may have, after its limit was raised as far as it may be and need be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    aim = min(_WANTED, _finite(hard))
    if _finite(soft) >= aim:
        return _finite(soft)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (aim, hard))
    except (OSError, ValueError):  # macOS allows less than it says
        return soft
    return aim


def _finite(limit: int) -> int:
    return _WANTED if limit == resource.RLIM_INFINITY else limit
