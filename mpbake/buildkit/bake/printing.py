"""Ask buildx how it reads bake files, with `bake --print`: this builds nothing, and contacts nothing.

A bake file may come from somebody else. `bake --print` checks caches, secrets and ssh agents of the targets, though. So
buildx gets an environment in which it finds no credentials, no engine and no programs of the user: only the variables
that the bake file declares, and what a process needs to start.
"""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import MpbakeError, Unreachable
from mpbake.buildkit.process.docker import Docker
from mpbake.conversion.comparison import Printed, parse_printed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mpbake.buildkit.process.completed import Completed

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_SECONDS = 60.0
_PASSED = ("HOME", "LANG", "LOGNAME", "PATH", "TMPDIR", "USER")
"""The variables of the user that buildx gets. `homedir()` of bake needs HOME."""
_ALL = "mpbake-import-all"
"""The name of the group that mpbake adds to a bake file, to print everything at once and leave "default" as it is."""
_ABSENT_FILE = re.compile(r"\b(?:stat|open) (?P<path>(?!open )[^:\n]+): no such file or directory")
_MOST_ABSENT = 100
_LEAVES_OUTPUTS = (0, 36)
"""The first version of buildx known to leave the files of outputs alone. 0.13 empties them, even for `--print`.

In another folder, it creates empty files there.
"""
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SET_BY_SHELL = frozenset({"OLDPWD", "PWD", "SHLVL"})
_VERSION = re.compile(r"\bv?(\d+\.\d+\.\d+\S*)")


class BakeRefused(MpbakeError):
    """bake does not accept a file, or a value of one of its variables. The message is that of bake."""


class NoBuildx(Unreachable):
    """There is no buildx that could print a bake file."""


class BakeTimedOut(NoBuildx):
    """buildx did not print a bake file in time."""


@dataclass(kw_only=True)
class BakePrinter:
    """A buildx that prints bake files in `folder`. Thread-safe.

    `command` starts buildx. `version` is its version, such as `0.36.0`. `scratch` is a private folder.
    """

    docker: Docker
    command: tuple[str, ...]
    version: str
    folder: Path
    scratch: Path
    _absent: set[str] = field(default_factory=set)
    """The relative paths of files that buildx looks for, and that this checkout lacks, such as secrets."""

    def printed(
        self,
        files: Sequence[str],
        names: Iterable[str],
        environment: Mapping[str, str],
        targets: Mapping[str, Mapping[str, Any]] = _NOTHING,
    ) -> Printed:
        """Return everything that `names` select in bake files, with `environment` for their variables.

        `targets` are further targets, as in a JSON file after the others. Relative paths of `files` start at the
        folder. Raises BakeRefused, NoBuildx and Cancelled.
        """
        tables = {"group": {_ALL: {"targets": list(names)}}} | ({"target": targets} if targets else {})
        with self._file(json.dumps(tables), ".json") as path:
            completed = self._print([*files, path], environment)
        try:
            return parse_printed(completed.stdout, without={_ALL})
        except (ValueError, LookupError, TypeError):
            raise NoBuildx(f"the answer of buildx {self.version} cannot be read") from None

    def printed_text(self, text: str, suffix: str, names: Iterable[str], environment: Mapping[str, str]) -> Printed:
        """Return what `names` select in a bake file with the content `text`, and the suffix `.json` or `.hcl`."""
        with self._file(text, suffix) as path:
            return self.printed([path], names, environment)

    def printed_with(
        self, files: Sequence[str], text: str, names: Iterable[str], environment: Mapping[str, str]
    ) -> Printed:
        """Return what `names` select in bake files and in further blocks in HCL."""
        with self._file(text, ".hcl") as path:
            return self.printed([*files, path], names, environment)

    @contextmanager
    def _file(self, text: str, suffix: str) -> Iterator[str]:
        with tempfile.NamedTemporaryFile("w", suffix=suffix, dir=self.scratch, encoding="utf-8") as file:
            file.write(text)
            file.flush()
            yield file.name

    def _print(self, files: Sequence[str], environment: Mapping[str, str]) -> Completed:
        while True:
            known = set(self._absent)
            completed = self._run(files, environment)
            if completed.timed_out:
                message = (
                    f"buildx {self.version} did not print the bake file within {_SECONDS:.0f} s, so mpbake ended it"
                )
                raise BakeTimedOut(message, hint="run `docker buildx bake --print`, and make smaller what it prints")
            if completed.returncode == 0:
                return completed
            if not self._add_absent(completed.stderr, known):
                raise BakeRefused(self._message(completed))

    def _run(self, files: Sequence[str], environment: Mapping[str, str]) -> Completed:
        is_elsewhere = bool(self._absent) or _numbers(self.version) < _LEAVES_OUTPUTS
        folder = self._placeholders() if is_elsewhere else self.folder
        options = [word for file in files for word in ("-f", str(self.folder / file) if is_elsewhere else file)]
        command = [*_settings(environment), *self.command, "bake", "--print", *options, _ALL]
        return self.docker.run_program_in(
            folder, command, timeout=_SECONDS, environment={**environment, **self._fixed()}
        )

    def _add_absent(self, stderr: str, known: set[str]) -> bool:
        """Note a missing file that buildx names; return whether it is a new one, for which a placeholder helps."""
        match = _ABSENT_FILE.search(stderr)
        path = PurePosixPath(match["path"]) if match else None
        if path is None or path.is_absolute() or ".." in path.parts or len(known) >= _MOST_ABSENT:
            return False
        self._absent.add(str(path))
        return str(path) not in known

    def _placeholders(self) -> Path:
        """Return a folder with an empty file for each missing file, and with the file of variables for Compose."""
        folder = self.scratch / "placeholders"
        folder.mkdir(exist_ok=True)
        for path in tuple(self._absent):  # other threads may add paths
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
        if (self.folder / ".env").is_file():
            with suppress(FileExistsError):
                (folder / ".env").symlink_to(self.folder / ".env")
        return folder

    def _fixed(self) -> dict[str, str]:
        """Return variables that no bake file may change: buildx must find neither credentials nor an engine."""
        return {
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "DOCKER_CONFIG": str(self.scratch / "config"),
            "DOCKER_HOST": f"unix://{self.scratch}/no-engine",
            "SSH_AUTH_SOCK": str(self.scratch / "agent"),
        }

    def _message(self, completed: Completed) -> str:
        """Return bake's reason, without the paths of temporary files."""
        return completed.error.replace(f"{self.folder}{os.sep}", "").replace(f"{self.scratch}{os.sep}", "")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _settings(environment: Mapping[str, str]) -> list[str]:
    """Return a command that sets the variables that a shell drops, such as `base-image`, or sets itself: `PWD`.

    mpbake starts programs by a shell.
    """
    words = [
        f"{name}={value}"
        for name, value in environment.items()
        if name in _SET_BY_SHELL or not _SHELL_NAME.fullmatch(name)
    ]
    return ["env", "--", *words] if words else []


@contextmanager
def open_printer(
    environment: Mapping[str, str],
    folder: Path,
    redact: Callable[[str], str],
    when_stopped: Callable[[Callable[[], None]], None],
) -> Iterator[BakePrinter]:
    """Yield a printer for the bake files in `folder`. At the end of the block, all of its processes have ended.

    `when_stopped` receives the function that ends running processes. Raises NoBuildx.
    """
    with tempfile.TemporaryDirectory(prefix="mpbake-") as name, socket.socket(socket.AF_UNIX) as agent:
        scratch = Path(name)
        (scratch / "config").mkdir()
        agent.bind(str(scratch / "agent"))  # buildx checks whether the agent's socket exists
        passed = {variable: environment[variable] for variable in _PASSED if variable in environment}
        docker = Docker(passed, scratch, redact)
        when_stopped(docker.cancel)
        try:
            command = _buildx(docker, environment, scratch)
            version = _version(docker, command)
            yield BakePrinter(docker=docker, command=command, version=version, folder=folder, scratch=scratch)
        finally:
            docker.close()


def _buildx(docker: Docker, environment: Mapping[str, str], scratch: Path) -> tuple[str, ...]:
    """Return the path of the buildx that docker would start: without docker, each print is twice as fast.

    Raises NoBuildx if docker has no buildx, or if its answer cannot be read.
    """
    config = environment.get("DOCKER_CONFIG") or f"{environment.get('HOME', '')}/.docker"
    settings = {"DOCKER_CONFIG": config, "DOCKER_HOST": f"unix://{scratch}/no-engine"}
    try:
        completed = docker.run(
            ["info", "--format", "{{json .ClientInfo.Plugins}}"], environment=settings, timeout=_SECONDS
        )
    except Unreachable as error:
        raise NoBuildx(error.message, hint=error.hint) from None
    answer = completed.stdout.partition("\n")[0]
    try:
        plugins = (json.loads(answer) if answer else None) or []
    except ValueError:
        plugins = None
    if not isinstance(plugins, list):
        raise NoBuildx("the answer of docker cannot be read", hint="check that `docker version` shows a Docker client")
    try:
        return (next(plugin["Path"] for plugin in plugins if plugin["Name"] == "buildx" and not plugin.get("Err")),)
    except (LookupError, TypeError, StopIteration):
        hint = "install buildx: https://docs.docker.com/go/buildx/"
        raise NoBuildx("docker has no buildx", hint=hint) from None


def _version(docker: Docker, command: Sequence[str]) -> str:
    completed = docker.run_program([*command, "version"], timeout=_SECONDS)
    match = _VERSION.search(completed.stdout)
    if completed.returncode or not match:
        raise NoBuildx(f"buildx does not tell its version: {completed.error}")
    return match[1]
