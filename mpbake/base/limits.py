"""The limit of open files of this process, and the number of docker commands that it allows at once."""

from __future__ import annotations

import resource

_TARGET_LIMIT = 8192
"""Descriptors that mpbake requests. Systems allow 256 or 1024 by default, and more to a process that asks."""
_PER_THREAD = 12
"""Descriptors of a thread that runs a docker command: its streams, its log, a second command, and its launcher."""
_RESERVED = 64
"""Descriptors for everything else."""


def affordable_threads(threads: int) -> int:
    """Return how many of `threads` may run docker commands at once: all, unless the system's limit is too low."""
    return max(min(threads, (_raise_limit() - _RESERVED) // _PER_THREAD), 1)


def _raise_limit() -> int:
    """Raise the limit of open descriptors up to `_TARGET_LIMIT` if the system allows it; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    aim = min(_TARGET_LIMIT, _finite(hard))
    if _finite(soft) >= aim:
        return _finite(soft)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (aim, hard))
    except (OSError, ValueError):  # macOS allows less than the hard limit that it reports
        return soft
    return aim


def _finite(limit: int) -> int:
    return _TARGET_LIMIT if limit == resource.RLIM_INFINITY else limit
