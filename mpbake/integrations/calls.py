"""Calls of the command `mpbake` in a CI job."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

WITHOUT_SECRETS = "--without-secrets"
"""The option of `mpbake check` for a job that checks a change: the job has no secrets, and needs none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanInputs:
    """The options with which a job calls mpbake. `directory` is the folder of the plan, relative to the job's folder.

    `arguments` are further arguments of the command. `untrusted` means that the plan may come from a stranger.
    """

    targets: tuple[str, ...] = ()
    directory: str = ""
    files: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    untrusted: bool = False

    @property
    def key(self) -> str:
        """The folder, the files and the targets, which tell the comments of several plans on one pull request apart."""
        folder = [] if self.directory in {"", "."} else [self.directory]
        return " ".join([*folder, *self.files, *self.targets])

    def arguments_of(self, command: str, *more: str, names: Sequence[str] = ()) -> list[str]:
        """Return the arguments of `mpbake`: the command, `more` options, and `names` after all options."""
        repeated = {"-f": self.files, "--var": self.variables, "--allow": self.allow}
        options = [part for option, values in repeated.items() for value in values for part in (option, value)]
        folder = ["-C", self.directory] if self.directory not in {"", "."} else []
        untrusted = ["--untrusted"] if self.untrusted else []
        return [command, *folder, *options, *untrusted, *more, *self.arguments, *(["--", *names] if names else [])]


class Mpbake(Protocol):
    """Calls the command `mpbake`. Standard error goes to the log of the job."""

    def run(self, arguments: Sequence[str]) -> int:
        """Call mpbake, whose output goes to the log. Return its exit code."""

    def read(self, arguments: Sequence[str]) -> tuple[int, str]:
        """Call mpbake. Return its exit code and its output."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MpbakeProcess:
    """Calls the mpbake of this Python in a process of its own, with the variables of `environment`."""

    environment: Mapping[str, str]

    def run(self, arguments: Sequence[str]) -> int:
        """See `Mpbake`. Signals that would end this process go to mpbake, which then cancels its builds and ends."""
        # In a process group of its own, mpbake gets each signal only once.
        process = subprocess.Popen(_command(arguments), env=self.environment, process_group=0)
        with process, _forwarded_signals(process):
            return _shell_code(process.wait())

    def read(self, arguments: Sequence[str]) -> tuple[int, str]:
        """See `Mpbake`."""
        completed = subprocess.run(_command(arguments), env=self.environment, stdout=subprocess.PIPE, check=False)
        return completed.returncode, completed.stdout.decode("utf-8", errors="backslashreplace")


@contextmanager
def _forwarded_signals(process: subprocess.Popen[bytes]) -> Iterator[None]:
    def forward(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            process.send_signal(number)

    previous = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _shell_code(code: int) -> int:
    """Return the exit code of a process as a shell does: 128 and the number of the signal that ended it."""
    return code if code >= 0 else 128 - code


def _command(arguments: Sequence[str]) -> list[str]:
    """Return the command. With `-P`, Python imports no module from the folder of the job, which is a checkout."""
    return [sys.executable, "-P", "-m", "mpbake", *arguments]


def without_inputs(environment: Mapping[str, str], *names: str) -> dict[str, str]:
    """Return the variables for mpbake: without the inputs of an action, which hold a token, and without `names`."""
    return {name: value for name, value in environment.items() if not name.startswith("INPUT_") and name not in names}


def lines_of(text: str) -> tuple[str, ...]:
    """Return the values of an input with one value on each line. Blank lines have no meaning."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())
