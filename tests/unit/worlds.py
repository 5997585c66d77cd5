"""A world for commands: nothing in it is real but the folder."""

from __future__ import annotations

import io
import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.cli.options import World

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from typing import TextIO

    import pytest

NOON = datetime(2026, 8, 1, 12, 0, 0, tzinfo=UTC)


def world(folder: Path, environment: Mapping[str, str] | None = None, *, live: bool = False) -> World:
    """Someone in `folder`, at noon, whose clock gains a second at each look."""
    return World(
        environment=environment or {},
        folder=folder,
        stdout=io.StringIO(),
        stderr=io.StringIO(),
        live=live,
        clock=ticking(),
        now=lambda: NOON,
    )


def ticking(*, step: float = 1.0) -> Callable[[], float]:
    """A clock that stands at 0 when it is first looked at, and `step` seconds later each time after."""
    return (step * number for number in itertools.count()).__next__


def redact(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make all that is in `folder` something that this user may not look at, whoever this is."""
    real = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if folder in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat)


def written(stream: TextIO) -> str:
    """All that a stream of such a world was given."""
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()
