"""Finds the free space of folders of this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError
from mpbake.buildkit.nodes.records import records_folder
from mpbake.graph.doctor.facts import Engine, Place, Purpose, Space
from mpbake.run.state.directory import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mpbake.graph.doctor.facts import Answer

_TEMPORARY = "/tmp"  # noqa: S108 - docker's own default folder, which mpbake only inspects


def places(environment: Mapping[str, str], root: Path | None, engines: Iterable[Answer[Engine]]) -> list[Place]:
    """Return the folders whose disks doctor checks. `root` is the folder of the plan, or None."""
    return list(dict.fromkeys(_places(environment, root, engines)))


def _places(environment: Mapping[str, str], root: Path | None, engines: Iterable[Answer[Engine]]) -> Iterator[Place]:
    for engine in engines:
        if isinstance(engine, Engine) and engine.is_local:
            yield Place(path=engine.root, purpose=Purpose.ENGINE)
    if root is not None:
        yield Place(path=root / FOLDER, purpose=Purpose.STATE)
    yield Place(path=records_folder(environment), purpose=Purpose.RECORDS)
    yield Place(path=Path(environment.get("TMPDIR") or _TEMPORARY), purpose=Purpose.TEMPORARY)


def space_of(place: Place) -> Space:
    """Return the free space of the file system that holds `place`, or will hold it. Raises MpbakeError."""
    try:
        folder = next(path for path in (place.path, *place.path.parents) if path.exists())
        status = os.statvfs(folder)
    except (OSError, StopIteration) as error:
        reason = error.strerror if isinstance(error, OSError) else "it does not exist"
        raise MpbakeError(f"its free space is not known: {reason}") from None
    return Space(
        free=status.f_bavail * status.f_frsize,
        files=status.f_favail if status.f_files else None,
        is_writable=place.purpose is Purpose.ENGINE or os.access(folder, os.W_OK | os.X_OK),
    )
