"""Locks between mpbake processes of one user on one machine: the second process waits."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import Cancelled, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mpbake.model.plan import Node

WAITING = "another mpbake works on it, waiting"
"""The activity of a node while another process holds the node's lock."""
_POLL_SECONDS = 0.05


@contextlib.contextmanager
def hold_lock(
    environment: Mapping[str, str],
    name: str,
    *,
    waiting: Callable[[], None] = lambda: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Hold the lock called `name`. If another process holds it, call `waiting` once and wait.

    The lock ends with the process, however the process ends. Raises Cancelled, and UsageError if this user has no
    private folder for locks.
    """
    path = _folder(environment) / f"{name.lower()}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if not _try_lock(descriptor):
            waiting()
            if not wait_for(descriptor, cancelled=cancelled):
                raise Cancelled("cancelled")
        yield
    finally:
        os.close(descriptor)


def hold_node_lock(
    environment: Mapping[str, str],
    node: Node,
    *,
    waiting: Callable[[], None] = lambda: None,
    cancelled: Callable[[], bool],
) -> contextlib.AbstractContextManager[None]:
    """Hold the lock of the container or Deployment of `node`. Plans that use the same name share the lock.

    Raises as `hold_lock` does.
    """
    return hold_lock(environment, f"node-{node.buildx_name}", waiting=waiting, cancelled=cancelled)


def hold_engine_lock(
    environment: Mapping[str, str], engine: str, *, cancelled: Callable[[], bool]
) -> contextlib.AbstractContextManager[None]:
    """Hold the lock of `engine`, a docker context or a URL. Raises as `hold_lock` does."""
    name = hashlib.sha256(engine.encode()).hexdigest()[:16]
    return hold_lock(environment, f"engine-{name}", cancelled=cancelled)


def wait_for(file: Any, *, seconds: float = float("inf"), cancelled: Callable[[], bool] = lambda: False) -> bool:
    """Lock an open file, and return whether that succeeded within `seconds`. Poll, so that signals take effect."""
    end = time.monotonic() + seconds
    while not _try_lock(file):
        if cancelled() or time.monotonic() > end:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _try_lock(file: Any) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _folder(environment: Mapping[str, str]) -> Path:
    """Return a private folder of this user, which the system removes at the latest at the next boot."""
    runtime = environment.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime and Path(runtime).is_dir() else Path("/tmp")  # noqa: S108 - checked below
    folder = base / f"mpbake-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if folder.is_symlink() or not folder.is_dir() or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise UsageError(f"{folder} is not a private folder of this user", hint="remove it: mpbake makes its own")
    return folder
