"""The environment of a command: variables, folder, streams and clocks."""

from __future__ import annotations

import io
import os
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mpbake.base.errors import UsageError
from mpbake.base.redaction import Redactor, redacting_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """The environment of a command: variables, folder, streams and clocks.

    `live`: standard error is a terminal that a person watches. `asks`: a person also types at standard input, so mpbake
    may ask. `clock` returns seconds, `now` the date and time. The streams never show values that `redactor` holds.
    """

    environment: Mapping[str, str]
    folder: Path
    stdout: TextIO
    stderr: TextIO
    live: bool
    clock: Callable[[], float]
    now: Callable[[], datetime]
    redactor: Redactor = field(default_factory=Redactor)
    stdin: TextIO = field(default_factory=io.StringIO)
    asks: bool = False


def open_world(redactor: Redactor) -> World:
    """Return the world of this process. Raises UsageError if the working folder no longer exists."""
    environment = dict(os.environ)
    return World(
        environment=environment,
        folder=_working_folder(),
        stdout=redacting_stream(sys.stdout, redactor),
        stderr=redacting_stream(sys.stderr, redactor),
        live=sys.stderr.isatty() and environment.get("TERM") != "dumb" and not environment.get("CI"),
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
        redactor=redactor,
        stdin=sys.stdin or io.StringIO(),
        asks=sys.stderr.isatty() and bool(sys.stdin and sys.stdin.isatty()) and not environment.get("CI"),
    )


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UsageError("the working folder no longer exists", hint="change to another folder") from None
