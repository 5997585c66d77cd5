"""The system's limit of open files, and the number of docker commands that can run in parallel under it."""

from __future__ import annotations

import resource

_TARGET_LIMIT = 8192
"""The limit of open files that mpbake requests. The default is 256 or 1024; a process may raise its own limit."""
_PER_THREAD = 12
"""Descriptors that a thread with a docker command needs: for streams, log, a second command, and the launcher."""
_RESERVED = 64
"""Descriptors that mpbake needs for everything else."""


def affordable_threads(threads: int) -> int:
    """Return the number of `threads` that may run docker commands: all, unless the system's limit is too low."""
    return max(min(threads, (_raise_limit() - _RESERVED) // _PER_THREAD), 1)


def _raise_limit() -> int:
    """Raise the limit of open descriptors up to `_TARGET_LIMIT` if the system allows it; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    aim = min(_TARGET_LIMIT, _finite(hard))
    if _finite(soft) >= aim:
        return _finite(soft)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (aim, hard))
    except (OSError, ValueError):  # macOS reports a higher hard limit than it allows
        return soft
    return aim


def _finite(limit: int) -> int:
    return _TARGET_LIMIT if limit == resource.RLIM_INFINITY else limit
