"""What the command line asked for, and the world it was asked in; light, so that `--help` stays fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from mpbake.base.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The options of every command, as given; an empty value, or None, was not given."""

    names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    directory: str = ""
    variables: tuple[str, ...] = ()
    var_files: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    push: bool | None = None
    load: bool = False
    no_cache: bool = False
    pull: bool = False
    platforms: tuple[str, ...] = ()
    builder: str = ""
    publish: str | None = None
    metadata_file: str = ""
    dry_run: bool = False
    strict: bool = False
    origin: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False
    format: str = "text"
    action: str = ""
    detailed_exitcode: bool = False
    keep_state: bool = False
    forget: bool = False
    explain: str = ""
    probe: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """Everything outside that a command may use.

    `live` says that a person watches standard error; `clock` gives seconds, `now` the date and time. What `hiding` is
    told to hide never reaches the streams.
    """

    environment: Mapping[str, str]
    folder: Path
    stdout: TextIO
    stderr: TextIO
    live: bool
    clock: Callable[[], float]
    now: Callable[[], datetime]
    redactor: Redactor = field(default_factory=Redactor)
