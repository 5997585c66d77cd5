"""A world for commands in tests. Only its folder is real."""

from __future__ import annotations

import io
import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.cli.definitions.imports import IMPORT_BUILDERS
from mpbake.cli.definitions.table import COMMANDS, GROUPS
from mpbake.cli.options import make_options
from mpbake.cli.world import World

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from typing import TextIO

    import pytest

NOON = datetime(2026, 8, 1, 12, 0, 0, tzinfo=UTC)
_COMMANDS = (*COMMANDS, IMPORT_BUILDERS, *(group.command for group in GROUPS))
_OPTIONS = {command.module: command.options_class for command in _COMMANDS}


_GRANTED = {"run": {"allow": ("all",)}, "builders": {"allow": ("all",)}}
"""The options of commands that check rights: everything is granted, unless a test names rights."""


def options_for(command: str, **values: Any) -> Any:
    """Return the options of the command in that module, by their names on the command line."""
    return make_options(_OPTIONS[command], values)


def call(main: Callable[[Any, World], int], here: World, **values: Any) -> int:
    """Call the `main` of a command with some options, and return its exit code."""
    command = main.__module__.rpartition(".")[2]
    return main(options_for(command, **_GRANTED.get(command, {}) | values), here)


def world(folder: Path, environment: Mapping[str, str] | None = None, *, live: bool = False) -> World:
    """Return the world of a user in `folder`, at noon. Each reading of its clock is a second later."""
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
    """Return a clock whose first reading is 0. Each further reading is `step` seconds later."""
    return (step * number for number in itertools.count()).__next__


def deny_access(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make everything in `folder` unreadable, even for root."""
    real = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if folder in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat)


def written(stream: TextIO) -> str:
    """Return everything that was written to a stream of such a world."""
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()
