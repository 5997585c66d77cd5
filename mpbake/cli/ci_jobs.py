"""Facts about the CI job in which a command runs: the CI system, and the paths of its checkout."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING

from mpbake.base.files import is_file, read_bounded
from mpbake.run.events import TimePassed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mpbake.base.errors import SourceLine
    from mpbake.run.events import Reporter

_TICK = 5.0
"""Seconds between two events of a run that nobody watches."""
_SYSTEMS = {"GITHUB_ACTIONS": "github", "GITLAB_CI": "gitlab"}
"""The reporter for the variable that each CI system sets to `true`."""


def ci_reporter(environment: Mapping[str, str]) -> str:
    """Return the name of the reporter for the CI system of this job: `plain` if there is none, or an unknown one."""
    return next((name for variable, name in _SYSTEMS.items() if environment.get(variable) == "true"), "plain")


def is_ci(environment: Mapping[str, str]) -> bool:
    """Whether the command runs in a CI job. `CI=false` means that it does not."""
    return ci_reporter(environment) != "plain" or environment.get("CI", "").lower() not in {"", "0", "false"}


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckoutPaths:
    """Converts lines of files of the plan to paths of the checkout, as annotations need them.

    `root` is the folder of the plan, `checkout` the folder of the checkout.
    """

    root: Path
    checkout: Path

    def __call__(self, source: SourceLine) -> str:
        """Return the path of the file from the checkout, or an empty string if the checkout has no such line."""
        path = self.root / source.file
        if not is_file(path):
            return ""
        relative = os.path.relpath(os.path.realpath(path), os.path.realpath(self.checkout))
        if relative.startswith(os.pardir):
            return ""
        try:
            lines = len(read_bounded(path, pipe=False).splitlines())
        except OSError:
            return ""
        return relative if 0 < source.line <= lines else ""


@contextmanager
def heartbeats(reporter: Reporter, environment: Mapping[str, str], seconds: float = _TICK) -> Iterator[None]:
    """In a CI job, send `reporter` a TimePassed event every few seconds, from a thread of its own."""
    ended = Event()

    def tick() -> None:
        while not ended.wait(seconds):
            reporter.handle(TimePassed())

    thread = Thread(target=tick, daemon=True, name="heartbeat")
    is_started = is_ci(environment)
    if is_started:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if is_started:
            thread.join()
