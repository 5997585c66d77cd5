"""A simulated docker command."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest
from python_on_whales import utils

from mpbake.buildkit.process.client import UNREADABLE, UNREADABLE_TEXT, DockerCommands, DockerException, discard_answer
from mpbake.buildkit.process.completed import CommandFailed, Completed
from mpbake.buildkit.process.docker import Docker, Watch
from mpbake.buildkit.process.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

T = TypeVar("T")

Answer = "Completed | Callable[[Mapping[str, str]], Completed]"


def done(stdout: str = "", stderr: str = "") -> Completed:
    """Return the result of a successful command."""
    return Completed(returncode=0, stdout=stdout, stderr=stderr)


def failed(stderr: str, *, stdout: str = "", timed_out: bool = False) -> Completed:
    """Return the result of a failed command."""
    return Completed(returncode=1, stdout=stdout, stderr=stderr, timed_out=timed_out)


def context_in_use(name: str, host: str = "unix:///var/run/docker.sock") -> Completed:
    """Return docker's answer about a context."""
    context = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    return done(json.dumps([{**context, "Storage": {"TLSPath": "<IN MEMORY>"}}]))


def container(*variables: str, status: str = "running", image: str = "", busy: bool = False) -> Completed:
    """Return docker's answer about a container with these environment variables."""
    record = {
        "Id": "c0ffee",
        "Name": "/buildx_buildkit_ci-local",
        "State": {"Status": status},
        "Config": {"Env": ["PATH=/bin", *variables], "Image": image},
        "HostConfig": {"NetworkMode": "host", "Memory": 0, "RestartPolicy": {"Name": "unless-stopped"}},
        "ExecIDs": ["e"] if busy else None,
    }
    return done(json.dumps(record))


_ANSWERS: dict[str, Callable[[Sequence[str]], Completed]] = {}
"""The answers to commands, by the second word of each command."""
_NUMBERS = itertools.count()


@contextlib.contextmanager
def answered(answer: Callable[[Sequence[str]], Completed]) -> Iterator[DockerCommands]:
    """Yield a client of python-on-whales that gets `answer` in place of processes."""
    name = f"answer-{next(_NUMBERS)}"
    _ANSWERS[name] = answer
    try:
        yield DockerCommands(client_call=["/bin/sh", name])
    finally:
        del _ANSWERS[name]


class _Subprocess:
    """A replacement of the module `subprocess` in python-on-whales."""

    PIPE = subprocess.PIPE

    @staticmethod
    def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        if command[1] not in _ANSWERS:
            return subprocess.run(command, check=False, **options)
        answer = _ANSWERS[command[1]](command[2:])
        return subprocess.CompletedProcess(command, answer.returncode, answer.stdout.encode(), answer.stderr.encode())


def _popen(command: Sequence[str], **options: Any) -> Any:
    if command[1] not in _ANSWERS:
        return subprocess.Popen(command, **options)
    answer = _ANSWERS[command[1]](command[2:])
    streams = {"stdout": io.BytesIO(answer.stdout.encode()), "stderr": io.BytesIO(answer.stderr.encode())}
    return SimpleNamespace(**streams, wait=lambda: answer.returncode)


vars(utils).update(subprocess=_Subprocess, Popen=_popen)


class FakeDocker(Docker):
    """A docker that answers commands by their first or last words, as listed in `answers`, and records the commands.

    An answer may be a function of the command's environment, or an error to raise. Unless `answers` contains others,
    the engine has every image and no volumes, can make any volume, and no container has a file to read.
    """

    def __init__(self, answers: Mapping[str, Any]) -> None:
        usual = {
            "image inspect": done(),
            "volume inspect": failed("no such volume"),
            "volume create": done(),
            "container cp c0ffee:/": failed("Could not find the file /etc/x in container c0ffee"),
        }
        self.answers = {**answers, **{words: answer for words, answer in usual.items() if words not in answers}}
        self._cancelled = 0
        self._processes = Processes(Path("children"), "")
        self.redact = str
        self.commands: list[str] = []
        self.settings: list[dict[str, Any]] = []
        self.inputs: list[bytes | str] = []
        self.watches: list[Watch] = []

    def _head(self, endpoint: str) -> NoReturn:
        pytest.fail(f"a process of docker for {endpoint!r}")

    def call(
        self,
        request: Callable[[DockerCommands], T],
        *,
        endpoint: str = "",
        environment: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> T:
        """Answer the commands of a typed call like `run`."""
        answers: list[Completed] = []

        def answer(command: Sequence[str]) -> Completed:
            answers.append(self.run(command, endpoint=endpoint, environment=environment, timeout=timeout))
            return answers[-1]

        with answered(answer) as client:
            try:
                return request(client)
            except DockerException:
                raise CommandFailed(answers[-1]) from None
            except UNREADABLE as error:
                discard_answer(error)
                raise CommandFailed(failed(UNREADABLE_TEXT)) from None

    def follow(
        self, request: Callable[[DockerCommands], Iterable[str]], *, stdin: str = "", **settings: Any
    ) -> Completed:
        """Answer the command of a typed call like `run`."""
        answers: list[Completed] = []

        def answer(command: Sequence[str]) -> Completed:
            answers.append(self.run(command, given=stdin, **settings))
            return answers[-1]

        with answered(answer) as client:
            try:
                stdout = "".join(request(client))
            except DockerException:
                return answers[-1]
        return replace(answers[-1], stdout=stdout)

    def pause(self, seconds: float) -> None:
        """Return at once."""

    def run(  # noqa: PLR0913 - as it is
        self,
        arguments: Sequence[str],
        *,
        endpoint: str = "",
        environment: Mapping[str, str] | None = None,
        given: bytes | str = b"",
        timeout: float | None = None,
        cwd: Path | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
        on_terminal: Callable[[bytes], None] | None = None,
        watch: Watch | None = None,
    ) -> Completed:
        self.watches += [watch] if watch else []
        command = " ".join(arguments)
        self.commands.append(command)
        self.settings.append({"endpoint": endpoint, "environment": dict(environment or {}), "timeout": timeout})
        self.inputs.append(given)
        assert cwd is None
        answer = next(
            (
                answer
                for words, answer in self.answers.items()
                if words in (command[: len(words)], command[-len(words) :])
            ),
            None,
        )
        assert answer is not None, f"unexpected: docker {command}"
        if isinstance(answer, Exception):
            raise answer
        completed = answer if isinstance(answer, Completed) else answer(environment or {})
        assert isinstance(completed, Completed)
        if on_terminal is not None:
            on_terminal(completed.stdout.encode())
            completed = replace(completed, stdout="")
        if on_stderr is not None:
            on_stderr(completed.stderr.encode())
            completed = replace(completed, stderr="")
        return completed

    def clean(
        self, arguments: Sequence[str], *, endpoint: str = "", environment: Mapping[str, str] | None = None
    ) -> None:
        """Record the command. A failure has no effect."""
        self.run(arguments, endpoint=endpoint, environment=environment)

    def run_program(self, command: Sequence[str], *, timeout: float, given: bytes | str = b"") -> Completed:
        """Answer another program like docker."""
        return self.run([*command, *given.split()], timeout=timeout)


class Baker(FakeDocker):
    """A docker whose bake writes `stderr` to standard error, and which records the definitions."""

    def __init__(self, answers: Mapping[str, Any], *, stderr: bytes = b"", returncode: int = 0) -> None:
        super().__init__(answers)
        self.stderr = stderr
        self.returncode = returncode
        self.definitions: list[dict[str, Any]] = []

    def run(  # noqa: PLR0913 - as it is
        self,
        arguments: Sequence[str],
        *,
        endpoint: str = "",
        environment: Mapping[str, str] | None = None,
        given: bytes | str = b"",
        timeout: float | None = None,
        cwd: Path | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
        on_terminal: Callable[[bytes], None] | None = None,
        watch: Watch | None = None,
    ) -> Completed:
        if "bake" not in arguments:
            return super().run(
                arguments,
                endpoint=endpoint,
                environment=environment,
                timeout=timeout,
                on_stderr=on_stderr,
                on_terminal=on_terminal,
            )
        assert on_stderr is not None, "the progress of a build is followed"
        assert watch is not None, "a node may go away"
        assert cwd is not None, "relative paths of a definition count from the plan's folder"
        self.commands.append(" ".join(arguments))
        self.settings.append({"endpoint": endpoint, "environment": dict(environment or {}), "timeout": timeout})
        self.definitions.append(json.loads(given))
        if "--metadata-file" in arguments:
            target = arguments[-1]
            metadata = {
                target: {
                    "containerimage.digest": "sha256:1",
                    "containerimage.descriptor": {"digest": "sha256:1"},
                }
            }
            Path(arguments[arguments.index("--metadata-file") + 1]).write_text(json.dumps(metadata), encoding="utf-8")
        on_stderr(self.stderr)
        return Completed(returncode=self.returncode, stdout="", stderr="")
