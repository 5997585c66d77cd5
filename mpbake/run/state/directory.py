"""`.mpbake/` beside the plan: the run lock, a folder for each run, how long builds took, and mpbake's own instances.

A checkout may bring such a folder along, so nothing in it is followed as a symlink and nothing is trusted.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import math
import os
import re
import shutil
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from mpbake.base.errors import LockHeld, MpbakeError, UsageError, system_error
from mpbake.base.files import write_whole
from mpbake.run.state.json_store import JsonStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from mpbake.graph.estimates import Recorded

FOLDER = ".mpbake"
KEPT_RUNS = 20
_LONGEST_NAME = 100
_RUN = re.compile(r"\d{8}T\d{6}-(\d{1,18})", re.ASCII)
"""What the folder of a run is called: when it began, by this machine's clock, and its number."""
_MAKES_ITS_OWN = "remove it: mpbake makes its own"


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """The folders of one run, all of them existing and private to this user."""

    nodes: Path
    run: Path

    @property
    def durations(self) -> Path:
        """The file of how long builds took; it may not exist."""
        return self.nodes.parent / "durations.json"

    def log(self, name: str) -> Path:
        """A file in the run's folder for the log of the step called `name`."""
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-")
        if len(plain) > _LONGEST_NAME:  # cut short it might be another step's
            plain = f"{plain[:_LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
        return self.run / f"{plain}.log"


@contextlib.contextmanager
def open_state(root: Path, now: datetime) -> Iterator[State]:
    """Lock the plan in `root` and make the folder of a new run.

    Raises LockHeld when another run works on it, UsageError when the folder cannot be had, and MpbakeError where the
    system refuses a file, now or within.
    """
    with contextlib.ExitStack() as opened:
        try:
            state = opened.enter_context(_opened(root / FOLDER, now))
        except OSError as error:
            hint = "mpbake keeps its logs and locks there: free some space, or make the folder writable"
            raise MpbakeError(f"{error.filename or root / FOLDER}: {error.strerror}", hint=hint) from error
        try:
            yield state
        except BrokenPipeError:  # nobody reads our output any more: that is no file
            raise
        except OSError as error:
            raise system_error(error, error.filename or "a log or temporary file") from error


@contextlib.contextmanager
def _opened(folder: Path, now: datetime) -> Iterator[State]:
    _write_new(_real_folder(folder) / ".gitignore", "*\n")
    with _locked(folder / "lock"):
        nodes, runs = _real_folder(folder / "nodes"), _real_folder(folder / "runs")
        before = sorted((path for path in runs.iterdir() if path.is_dir() and not path.is_symlink()), key=_age)
        _forget_old(before)
        number = _number(before[-1]) + 1 if before else 1
        run = _real_folder(runs / f"{now:%Y%m%dT%H%M%S}-{number}")
        yield State(nodes=nodes, run=run)


@contextlib.contextmanager
def block_runs(root: Path) -> Iterator[None]:
    """Keep runs from starting on the plan in `root` until the block ends; several processes may do so at once.

    Raises LockHeld when a run works on the plan, UsageError where the lock cannot be a file of mpbake. Where this user
    can neither write nor read the lock, no run of this user can start.
    """
    descriptor = _open_lock(root / FOLDER)
    if descriptor is None:
        yield
        return
    with os.fdopen(descriptor, "r", encoding="ascii", errors="replace") as lock:
        _take(lock, fcntl.LOCK_SH)
        with contextlib.suppress(OSError):  # the lock may be readable only
            os.ftruncate(descriptor, 0)  # the number in it is that of a run which has ended
        yield


def _open_lock(folder: Path) -> int | None:
    """A descriptor of the lock, which is made if missing; None where this user can have none."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        _write_new(_real_folder(folder) / ".gitignore", "*\n")
    for more in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return os.open(_real_file(folder / "lock"), flags | more, 0o600)
    return None


def read_durations(path: Path) -> tuple[Recorded, str]:
    """The seconds that builds took, by target and platform, the newest last; and a warning when they cannot be used."""
    return _durations(path).read(lambda _, found: _seconds(found))


def write_durations(path: Path, durations: Recorded) -> None:
    """Keep `durations` for the runs to come, unless a newer mpbake wrote what is there. Raises OSError."""
    _durations(path).write(durations)


def _durations(path: Path) -> JsonStore:
    return JsonStore(path=path, key="durations", format=1, loss="durations of earlier runs count as not known")


def _seconds(by_platform: dict[str, list[float]]) -> dict[str, list[float]]:
    found = {platform: [float(each) for each in seconds] for platform, seconds in by_platform.items()}
    if not all(0 <= each < math.inf for seconds in found.values() for each in seconds):
        raise ValueError(found)
    return found


def _real_folder(path: Path) -> Path:
    """`path` as a folder that is no symlink, made if missing."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise UsageError(f"{path} is not a folder", hint=_MAKES_ITS_OWN)
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def _real_file(path: Path) -> Path:
    """`path` as a file that is no symlink, or as nothing yet."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UsageError(f"{path} is not a file", hint=_MAKES_ITS_OWN)
    return path


def _write_new(path: Path, text: str) -> None:
    """Write a file as a whole, unless something is there: on a full disk nothing stays that would be taken for it."""
    if not os.path.lexists(path):
        write_whole(path, text)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(_real_file(path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+", encoding="ascii", errors="replace") as lock:
        _take(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _take(lock: IO[str], how: int) -> None:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = re.sub(r"\D", "", lock.read(20))
        who = f"another run works on this plan (process {owner})" if owner else "another mpbake works on this plan"
        raise LockHeld(who, hint="wait for it, or end it") from None


def _forget_old(runs: Sequence[Path]) -> None:
    """Make room for a new run: of `runs`, the oldest first, keep the newest."""
    for path in runs[: -KEPT_RUNS + 1]:
        shutil.rmtree(path, ignore_errors=True)


def _age(run: Path) -> tuple[int, str]:
    """The key that sorts the folders of runs, the oldest first. By number, since the clock may have been set back."""
    return _number(run), run.name


def _number(run: Path) -> int:
    """The number of a run, at the end of its folder's name; 0 for what is no such folder."""
    found = _RUN.fullmatch(run.name)
    return int(found[1]) if found else 0
