"""Undo the changes of a testbed outside its folder."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, assert_never

from testbed import emulation, sshd
from testbed.dockerd import remove_containers
from testbed.errors import TestbedError
from testbed.network import remove_bridge, remove_namespace
from testbed.processes import run, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.engine import Engine
    from testbed.place import Change, Place

_CGROUPS = Path("/sys/fs/cgroup")


def undo_all(place: Place, engine: Engine | None) -> None:
    """Undo every change of the place, the newest first, and remove its folder.

    If one change cannot be undone, the others are undone anyway. Then TestbedError lists all failures, and the folder
    stays.
    """
    if engine is not None and not engine.own:
        _remove_builders(place, engine)
    failures = [failure for change in place.changes() if (failure := _try(place, engine, change))]
    if failures:
        raise TestbedError("\n".join(failures))
    shutil.rmtree(place.root)


def _remove_builders(place: Place, engine: Engine) -> None:
    """Remove the builders that were made in the testbed, and their containers in the user's engine."""
    for builder in (place.root / "buildx" / "instances").glob("*"):
        with suppress(TestbedError):  # the engine of a node may no longer exist
            engine.docker("buildx", "rm", "--force", builder.name)


def _try(place: Place, engine: Engine | None, change: Change) -> str:
    """Undo the change. Return the error, or an empty text."""
    try:
        _undo(place, engine, change)
    except (OSError, TestbedError) as error:
        return f"{change.kind} {change.what}: {error}"
    return ""


def _undo(place: Place, engine: Engine | None, change: Change) -> None:
    match change.kind:
        case "container" | "containers" | "image":
            _undo_in_engine(place, engine, change.kind, change.what)
        case "daemon":
            place.daemon(change.what).stop()
        case "bridge":
            remove_bridge(place, change.what)
        case "namespace":
            remove_namespace(place, change.what)
        case "cgroup":
            _remove_cgroup(place, change.what)
        case "mounts":
            _unmount_below(place, Path(change.what))
        case "folder":
            shutil.rmtree(change.what, ignore_errors=True)
        case "leftover":
            _remove_if_empty(Path(change.what))
        case "shared":
            _leave(place, change.what)
        case _:
            assert_never(change.kind)


def _undo_in_engine(
    place: Place, engine: Engine | None, kind: Literal["container", "containers", "image"], what: str
) -> None:
    match kind:
        case "container":
            _remove_container(engine, what)
        case "containers":
            remove_containers(place, what)
        case "image":
            _remove_image(engine, what)
        case _:
            assert_never(kind)


def _remove_container(engine: Engine | None, name: str) -> None:
    if engine is not None and not engine.own:
        engine.docker("rm", "--force", "--volumes", name)


def _remove_image(engine: Engine | None, name: str) -> None:
    """Remove the image from an engine that the testbed did not start.

    The testbed's own engine is removed as a whole.
    """
    if engine is not None and not engine.own and engine.has_image(name):
        engine.docker("image", "rm", "--force", name)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # something else uses the image now
        folder.rmdir()


def _leave(place: Place, name: str) -> None:
    for change in (*emulation.shared_changes(), sshd.privilege_folder()):
        if change.name == name:
            change.leave(place.root)


def _unmount_below(place: Place, folder: Path) -> None:
    """Unmount the file systems that a crashed engine left below the folder, the deepest first."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [Path(line.split()[4]) for line in mounts]
    for point in reversed([point for point in points if point.is_relative_to(folder)]):
        run(("umount", str(point)), env=place.environ)


def _remove_cgroup(place: Place, name: str) -> None:
    """Kill the processes that a crashed engine left running, and remove its control groups."""
    shims = list(_shims(place))
    _kill([*shims, *_children(shims)])
    for top in (*_CGROUPS.glob(f"*/{name}"), _CGROUPS / name):
        for path, _, _ in os.walk(top, topdown=False):
            _empty(Path(path))
            Path(path).rmdir()


def _empty(group: Path) -> None:
    processes = group / "cgroup.procs"
    _kill([int(pid) for pid in processes.read_text().split()])
    wait_until(lambda: not processes.read_text(), seconds=5)


def _shims(place: Place) -> Iterator[int]:
    """Yield the processes that a containerd of this testbed started, one for each container."""
    ours = f"{place.sockets}/".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # the process may have ended meanwhile
            command = (folder / "cmdline").read_bytes()
            if b"containerd-shim" in command and ours in command:
                yield int(folder.name)


def _children(parents: list[int]) -> Iterator[int]:
    """Yield the first process of each of those containers. The other processes of a container end with it."""
    for parent in parents:
        with suppress(OSError):
            listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
            yield from map(int, listed.split())


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
