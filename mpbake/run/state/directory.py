"""The state directory `.mpbake/` beside the plan: run lock, run folders, durations of builds, buildx instances.

A checkout may contain such a folder, so mpbake follows no symlink in this folder and trusts none of its files.
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
_DURATIONS = "durations.json"
_LONGEST_DURATION = 31 * 24 * 3600.0
_MAX_NAME_LENGTH = 100
_RUN_FOLDER = re.compile(r"\d{8}T\d{6}-(\d{1,18})", re.ASCII)
"""The name of a run folder: when the run began, by this machine's clock, and its number."""
_REMOVE_IT = "remove it: mpbake makes its own"


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """The folders of one run, which exist and are private to this user.

    `nodes` holds the buildx instances of the plan's nodes, `run` the logs of this run.
    """

    nodes: Path
    run: Path

    @property
    def durations(self) -> Path:
        """The file with the durations of builds, which may not exist."""
        return self.nodes.parent / _DURATIONS

    def log(self, name: str) -> Path:
        """Return the file in the run folder for the log of the step called `name`."""
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-")
        if len(plain) > _MAX_NAME_LENGTH:  # two long names may have the same beginning
            plain = f"{plain[:_MAX_NAME_LENGTH]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
        return self.run / f"{plain}.log"


@contextlib.contextmanager
def open_state(root: Path, now: datetime) -> Iterator[State]:
    """Lock the plan in `root` and create the folder of a new run.

    Raises LockHeld if another run works on the plan, UsageError if the folder cannot be used, and MpbakeError if the
    system refuses a file, here or within the block.
    """
    with contextlib.ExitStack() as opened:
        try:
            state = opened.enter_context(_opened(root / FOLDER, now))
        except OSError as error:
            hint = "free some disk space, or make the folder writable: mpbake keeps its logs and locks there"
            raise MpbakeError(f"{error.filename or root / FOLDER}: {error.strerror}", hint=hint) from error
        try:
            yield state
        except BrokenPipeError:  # the reader of mpbake's output closed the pipe: no problem of a file
            raise
        except OSError as error:
            raise system_error(error, error.filename or "a log or temporary file") from error


@contextlib.contextmanager
def _opened(folder: Path, now: datetime) -> Iterator[State]:
    _write_new(_real_folder(folder) / ".gitignore", "*\n")
    with _locked(folder / "lock"):
        nodes, runs = _real_folder(folder / "nodes"), _real_folder(folder / "runs")
        earlier = sorted((path for path in runs.iterdir() if path.is_dir() and not path.is_symlink()), key=_age)
        _remove_oldest(earlier)
        number = _number(earlier[-1]) + 1 if earlier else 1
        run = _real_folder(runs / f"{now:%Y%m%dT%H%M%S}-{number}")
        yield State(nodes=nodes, run=run)


@contextlib.contextmanager
def block_runs(root: Path) -> Iterator[None]:
    """Prevent runs of the plan in `root` until the block ends. Several processes may block runs at once.

    Raises LockHeld if a run works on the plan, and UsageError if the lock is not a file of mpbake. If this user cannot
    open the lock, nothing is blocked: without the lock, this user cannot start a run.
    """
    descriptor = _open_lock(root / FOLDER)
    if descriptor is None:
        yield
        return
    with os.fdopen(descriptor, "r", encoding="ascii", errors="replace") as lock:
        _lock(lock, fcntl.LOCK_SH)
        with contextlib.suppress(OSError):  # the lock may be read-only
            os.ftruncate(descriptor, 0)  # the lock names the process of a run that has ended
        yield


def _open_lock(folder: Path) -> int | None:
    """Return a descriptor of the lock, created if missing, or None if this user can neither write nor read it."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        _write_new(_real_folder(folder) / ".gitignore", "*\n")
    for access in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return os.open(_real_file(folder / "lock"), flags | access, 0o600)
    return None


def read_durations(path: Path) -> tuple[Recorded, str]:
    """Return the recorded seconds of builds by target and platform, newest last, and a warning for a damaged file."""
    return _durations(path).read(lambda _, by_platform: _seconds(by_platform))


def recorded_durations(root: Path) -> Recorded:
    """Return the recorded seconds of builds for a plan in `root`, without a run; empty if there is no sound record.

    The record may come from a checkout: a folder or a file that is a symlink, and a duration of months, are ignored.
    """
    if (root / FOLDER).is_symlink():
        return {}
    recorded, _ = read_durations(root / FOLDER / _DURATIONS)
    longest = max((max(seconds, default=0) for by_name in recorded.values() for seconds in by_name.values()), default=0)
    return recorded if longest <= _LONGEST_DURATION else {}


def write_durations(path: Path, durations: Recorded) -> None:
    """Record `durations` for later runs, unless a newer mpbake wrote the record. Raises OSError."""
    _durations(path).write(durations)


def _durations(path: Path) -> JsonStore:
    return JsonStore(path=path, key="durations", format=1, loss="durations of earlier runs are not known")


def _seconds(by_platform: dict[str, list[float]]) -> dict[str, list[float]]:
    durations = {platform: [float(duration) for duration in seconds] for platform, seconds in by_platform.items()}
    if not all(0 <= duration < math.inf for seconds in durations.values() for duration in seconds):
        raise ValueError(durations)
    return durations


def _real_folder(path: Path) -> Path:
    """Return `path`, a folder and not a symlink; create the folder if missing."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise UsageError(f"{path} is not a folder", hint=_REMOVE_IT)
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def _real_file(path: Path) -> Path:
    """Return `path`, which must be a file and not a symlink, or must not exist."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UsageError(f"{path} is not a file", hint=_REMOVE_IT)
    return path


def _write_new(path: Path, text: str) -> None:
    """Write a file as a whole, unless `path` exists. On a full disk, no incomplete file remains."""
    if not os.path.lexists(path):
        write_whole(path, text)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(_real_file(path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+", encoding="ascii", errors="replace") as lock:
        _lock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _lock(lock: IO[str], mode: int) -> None:
    try:
        fcntl.flock(lock, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = re.sub(r"\D", "", lock.read(20))
        message = f"another run works on this plan (process {owner})" if owner else "another mpbake works on this plan"
        raise LockHeld(message, hint="wait for it, or end it") from None


def _remove_oldest(runs: Sequence[Path]) -> None:
    """Remove run folders until a new run folder fits into `KEPT_RUNS`. `runs` starts with the oldest."""
    for path in runs[: -KEPT_RUNS + 1]:
        shutil.rmtree(path, ignore_errors=True)


def _age(run: Path) -> tuple[int, str]:
    """Return the key that sorts run folders, the oldest first: by number, since the clock may have been set back."""
    return _number(run), run.name


def _number(run: Path) -> int:
    """Return the number at the end of the name of a run folder, or 0 for any other folder."""
    match = _RUN_FOLDER.fullmatch(run.name)
    return int(match[1]) if match else 0
