"""A docker command that only pretends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from mpbake.buildkit.process.docker import Completed, Docker, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Answer = "Completed | Callable[[Mapping[str, str]], Completed]"


def done(stdout: str = "", stderr: str = "") -> Completed:
    """A command that succeeded."""
    return Completed(returncode=0, stdout=stdout, stderr=stderr)


def failed(stderr: str, *, stdout: str = "", timed_out: bool = False) -> Completed:
    """A command that failed."""
    return Completed(returncode=1, stdout=stdout, stderr=stderr, timed_out=timed_out)


def context_in_use(name: str, host: str = "unix:///var/run/docker.sock") -> Completed:
    """What docker says of the docker context in use, or of any other."""
    context = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    return done(json.dumps([{**context, "Storage": {"TLSPath": "<IN MEMORY>"}}]))


def container(*variables: str, status: str = "running", image: str = "", busy: bool = False) -> Completed:
    """What docker says of a container with these environment variables."""
    found = {
        "Id": "c0ffee",
        "Name": "/buildx_buildkit_ci-local",
        "State": {"Status": status},
        "Config": {"Env": ["PATH=/bin", *variables], "Image": image},
        "HostConfig": {"NetworkMode": "host", "Memory": 0, "RestartPolicy": {"Name": "unless-stopped"}},
        "ExecIDs": ["e"] if busy else None,
    }
    return done(json.dumps(found))


class FakeDocker(Docker):
    """Answers each command as `answers` says by its first or its last words, and keeps what it was asked.

    An answer may be a function of the environment of the command, or an error to raise. Unless `answers` say so, the
    engine has every image and no volumes, and any volume can be made.
    """

    def __init__(self, answers: Mapping[str, Any]) -> None:
        usual = {"image inspect": done(), "volume inspect": failed("no such volume"), "volume create": done()}
        self.answers = {**answers, **{words: each for words, each in usual.items() if words not in answers}}
        self._cancelled = 0
        self.redact = str
        self.commands: list[str] = []
        self.settings: list[dict[str, Any]] = []

    def client(self, endpoint: str = "") -> NoReturn:
        pytest.fail(f"somebody asks python-on-whales about {endpoint!r}")

    def pause(self, seconds: float) -> None:
        """Nobody waits in a test."""

    def run(  # noqa: PLR0913 - as it is
        self,
        arguments: Sequence[str],
        *,
        endpoint: str = "",
        environment: Mapping[str, str] | None = None,
        given: str = "",
        timeout: float | None = None,
        cwd: Path | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
        on_terminal: Callable[[bytes], None] | None = None,
        watch: Watch | None = None,
    ) -> Completed:
        command = " ".join(arguments)
        self.commands.append(command)
        self.settings.append({"endpoint": endpoint, "environment": dict(environment or {}), "timeout": timeout})
        assert (given, cwd, watch) == ("", None, None)
        answer = next(
            (each for words, each in self.answers.items() if words in (command[: len(words)], command[-len(words) :])),
            None,
        )
        assert answer is not None, f"nobody expected: docker {command}"
        if isinstance(answer, Exception):
            raise answer
        found = answer if isinstance(answer, Completed) else answer(environment or {})
        assert isinstance(found, Completed)
        if on_terminal is not None:
            on_terminal(found.stdout.encode())
            found = replace(found, stdout="")
        if on_stderr is not None:
            on_stderr(found.stderr.encode())
            found = replace(found, stderr="")
        return found

    def clean(
        self, arguments: Sequence[str], *, endpoint: str = "", environment: Mapping[str, str] | None = None
    ) -> None:
        """How it ends is nobody's concern, but it is kept."""
        self.run(arguments, endpoint=endpoint, environment=environment)

    def run_program(self, command: Sequence[str], *, timeout: float, given: str = "") -> Completed:
        """Another program is answered just so."""
        return self.run([*command, *given.split()], timeout=timeout)


class Baker(FakeDocker):
    """A docker whose bake says what it was told to say, and keeps the definitions that it was given."""

    def __init__(self, answers: Mapping[str, Any], *, says: bytes = b"", returncode: int = 0) -> None:
        super().__init__(answers)
        self.says = says
        self.returncode = returncode
        self.definitions: list[dict[str, Any]] = []

    def run(  # noqa: PLR0913 - as it is
        self,
        arguments: Sequence[str],
        *,
        endpoint: str = "",
        environment: Mapping[str, str] | None = None,
        given: str = "",
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
            told = {
                arguments[-1]: {
                    "containerimage.digest": "sha256:1",
                    "containerimage.descriptor": {"digest": "sha256:1"},
                }
            }
            Path(arguments[arguments.index("--metadata-file") + 1]).write_text(json.dumps(told), encoding="utf-8")
        on_stderr(self.says)
        return Completed(returncode=self.returncode, stdout="", stderr="")
