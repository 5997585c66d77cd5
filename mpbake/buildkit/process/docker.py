"""Commands of docker: supervised processes with deadlines, cancelling and redaction.

mpbake starts docker in two ways. `call` and `follow` use the typed API of python-on-whales, whose parameter
`client_call` starts the launcher (see `launcher`). `run` starts docker directly.

In both ways, python-on-whales provides the docker command and its context or host. Both ways give the same guarantees:

- the process has a session of its own without a terminal, and exactly the environment that mpbake sets;
- the watchdog's register has an entry for the process;
- `cancel`, the deadline or a stall ends the process;
- errors contain no secrets.

| call | through python-on-whales | reason if not |
|---|---|---|
| bake | `buildx.bake`, extended by `allow` | |
| buildx version | `buildx.version` | |
| name an image in an engine | `image.tag` | |
| digests of an image in an engine | `image.inspect` | |
| push from an engine's image store | `image.push_quietly`, an extension | `push` starts one more process |
| create a builder entry | `buildx.create_node`, an extension | `create` lacks `--node` and calls `buildx ls` |
| ask or start a builder | `buildx.describe`, an extension | `inspect` calls `buildx ls`, drops options |
| start, stop, unpause, remove a container | `container.start`, `.stop`, `.unpause`, `.remove` | |
| remove a volume, remove a context | `volume.remove`, `context.remove` | |
| list builders | no, mpbake reads the store | `ls` waits for every node of every builder |
| remove a builder entry | no, mpbake writes the store | `remove` also removes the container and its cache |
| read an image in a registry | no, own HTTP client | `imagetools.inspect` drops digests and bytes |
| give tags | no, own HTTP client | `imagetools.create` moves several tags without saying how far it came |
| remove images of a run, or what a failed start made | no, `clean` | must run after `cancel`, and end soon |
| pull of a node's image | no, `run` | its progress is drawn on a terminal |
| whether an engine has a node's image | no, `run` | `image.exists` lacks `--`, and fails on an answer it cannot read |
| container, volume, context inspect | no, `run` | the models drop or refuse fields of older and newer engines |
| install emulators | no, `run` | users can run the same words by hand |
| path of the buildx plugin | no, `run` | `docker info` without an engine |
| print bake files for an import | no, `run_program_in` | buildx alone is faster, and gets another environment |
| version of buildx for an import | no, `run_program` | buildx alone is faster |
| version of the docker command | no, `run` | `version` fails if no engine answers |
| system info | no, `run` | `SystemInfo` drops `ServerErrors`, an engine's own words |
| container top | no, `run` | `container.top` is not implemented |
| container exec | no, `run` | the output counts even if the command in the container fails |
| container logs | no, `run` | both streams are needed |
| container create, cp | no, `run` | `create` lacks `volume-nocopy`, `copy` an archive on standard input |
| volume create | no, `run` | `create` starts one more process, `volume inspect` |
| context create | no, `run` | `create` does not quote commas in paths |
| kubectl, ssh, credential helpers | no, `run_program` | not docker |
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mpbake.base.errors import Cancelled, Unreachable
from mpbake.buildkit.process.client import (
    UNREADABLE,
    UNREADABLE_TEXT,
    ClientNotFoundError,
    DockerCommands,
    DockerException,
    discard_answer,
)
from mpbake.buildkit.process.completed import CommandFailed, Completed
from mpbake.buildkit.process.launcher import UNREGISTERED
from mpbake.buildkit.process.output import Watch, captured_stdout, captured_text, read_all
from mpbake.buildkit.process.processes import Processes, deadline, short_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mpbake.buildkit.process.launcher import ErrorPipe, Launch

__all__ = ["Docker", "Watch"]

T = TypeVar("T")

_KILL_AFTER = 3.0
_CLEANUP_SECONDS = 10.0
_PAUSE_STEP = 0.1
_UNSENT = re.compile(r'error during connect: Get "http://docker\.example\.com/[^"]*": write \|\d+: broken pipe')
"""docker's error if ssh ends before docker writes its request. Depending on the timing, docker loses ssh's reason."""


class Docker:
    """Runs docker commands. Thread-safe.

    `environment` is the complete environment of a command. `folder` is for the register of running children. `redact`
    is applied to standard error. `scratch` is a temporary folder, which `close` removes.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path, redact: Callable[[str], str] = str) -> None:
        # buildx leaves each inline Dockerfile behind in its temporary folder, which is removed with `scratch`.
        self._temporary = short_folder(environment.get("TMPDIR", ""))
        self.scratch = Path(self._temporary)
        self._environment = {**environment, "TMPDIR": self._temporary}
        self.redact = redact
        self._register = folder / "children"
        self._processes = Processes(self._register, self._temporary)
        self._cancelled = 0

    # --- through the typed API of python-on-whales ----------------------------------------------------------------

    def call(
        self,
        request: Callable[[DockerCommands], T],
        *,
        endpoint: str = "",
        environment: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> T:
        """Return the result of a typed call, such as `lambda client: client.buildx.version()`.

        `endpoint` is a docker context or URL, `timeout` is in seconds. Makes the call again if ssh ended and docker
        lost its reason. Raises CommandFailed if the command fails, Cancelled after `cancel`, Unreachable if there is
        no docker command.
        """
        try:
            return self._call(request, endpoint, environment, timeout)
        except CommandFailed as error:
            if not _is_unsent(error.completed.stderr):
                raise
        return self._call(request, endpoint, environment, timeout)

    def _call(
        self,
        request: Callable[[DockerCommands], T],
        endpoint: str,
        environment: Mapping[str, str] | None,
        timeout: float | None,
    ) -> T:
        with self._launch(endpoint, environment) as (launch, client), deadline(timeout, launch.stop) as expired:
            try:
                result = request(client)
            except DockerException as error:
                ended, stdout, stderr = error.return_code, error.stdout or "", launch.error_text()
            except UNREADABLE as error:
                discard_answer(error)
                ended, stdout, stderr = 1, "", UNREADABLE_TEXT
            else:
                self._check_end(0)
                return result
        self._check_end(ended)
        stderr = self.redact(stderr)
        completed = Completed(returncode=ended, stdout=stdout, stderr=stderr, timed_out=expired.is_set())
        raise CommandFailed(completed) from None

    def follow(  # noqa: PLR0913 - each parameter is one facet of a process
        self,
        request: Callable[[DockerCommands], Iterable[str]],
        *,
        endpoint: str = "",
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout: float | None = None,
        cwd: Path | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
        watch: Watch | None = None,
    ) -> Completed:
        """Make a typed call that returns the text or the lines of standard output, and wait until the command ends.

        `on_stderr` receives standard error as it arrives. `watch` may end the command during a silence. Raises
        Cancelled and Unreachable as `call` does.
        """
        stderr = bytearray()
        take = on_stderr or stderr.extend
        with (
            self._launch(endpoint, environment, stdin, cwd) as (launch, client),
            launch.error_pipe() as pipe,
            deadline(timeout, launch.stop) as expired,
            ThreadPoolExecutor(max_workers=1) as beside,
        ):
            answer = beside.submit(_answer, request, client, pipe)

            def take_first(data: bytes) -> None:
                launch.forget_stdin()
                take(data)

            try:
                stalled = read_all(pipe.reader, take_first, watch)
            except BaseException:
                launch.stop(signal.SIGKILL)
                raise
            if stalled:
                launch.stop(signal.SIGKILL)
        ended, stdout = answer.result()
        self._check_end(ended)
        return Completed(
            returncode=ended,
            stdout=stdout,
            stderr=self.redact(stderr.decode(errors="replace")),
            timed_out=expired.is_set(),
            stalled=stalled,
        )

    # --- directly -------------------------------------------------------------------------------------------------

    def run(  # noqa: PLR0913 - each parameter is one facet of a process
        self,
        arguments: Sequence[str],
        *,
        endpoint: str = "",
        environment: Mapping[str, str] | None = None,
        given: bytes = b"",
        timeout: float | None = None,
        cwd: Path | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
        on_terminal: Callable[[bytes], None] | None = None,
        watch: Watch | None = None,
    ) -> Completed:
        """Run `docker ARGUMENTS` and wait until the command ends.

        `given` is the standard input, `timeout` is in seconds. `on_stderr` receives standard error as it arrives.
        `watch` may end the command during a silence. With `on_terminal`, standard output is a terminal, and
        `on_terminal` receives the output as it arrives. Runs the command again if ssh ended and docker lost its reason.
        Raises Cancelled after `cancel`, Unreachable if there is no docker command.
        """
        run = partial(
            self._run,
            [*self._head(endpoint), *arguments],
            environment=environment,
            given=given,
            timeout=timeout,
            cwd=cwd,
            on_stderr=on_stderr,
            on_terminal=on_terminal,
            watch=watch,
        )
        completed = run()
        return run() if _is_unsent(completed.stderr) else completed

    def run_program(self, command: Sequence[str], *, timeout: float, given: str = "") -> Completed:
        """Run another program in the same way as `run`.

        Raises Cancelled, and Unreachable if the program does not exist.
        """
        self._check_program(command[0])
        return self._run(command, timeout=timeout, given=given.encode())

    def run_program_in(
        self, folder: Path, command: Sequence[str], *, timeout: float, environment: Mapping[str, str]
    ) -> Completed:
        """Run another program in `folder`, with further variables. Raises as `run_program` does."""
        self._check_program(command[0])
        return self._run(command, timeout=timeout, environment=environment, cwd=folder)

    def _check_program(self, name: str) -> None:
        if shutil.which(name, path=self._environment.get("PATH")) is None:
            raise Unreachable(f"the {name} command was not found")

    def _run(  # noqa: PLR0913 - as `run`
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        given: bytes = b"",
        timeout: float | None = None,
        cwd: Path | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
        on_terminal: Callable[[bytes], None] | None = None,
        watch: Watch | None = None,
    ) -> Completed:
        if self._cancelled:
            raise Cancelled("cancelled")
        with tempfile.TemporaryFile() as stdin, captured_stdout(on_terminal) as stdout:
            stdin.write(given)
            stdin.seek(0)
            full_environment = {**self._environment, **(environment or {})}
            child = self._processes.start(command, full_environment, (stdin, stdout), cwd)
            self._signal_latecomers()
            stderr = bytearray()
            timed_out, stalled = self._processes.follow(child, on_stderr or stderr.extend, timeout, watch)
            self._check_end(child.returncode)
            return Completed(
                returncode=child.returncode,
                stdout=captured_text(stdout),
                stderr=self.redact(stderr.decode(errors="replace")),
                timed_out=timed_out,
                stalled=stalled,
            )

    def clean(
        self, arguments: Sequence[str], *, endpoint: str = "", environment: Mapping[str, str] | None = None
    ) -> None:
        """Run a short command that removes something temporary, even after `cancel`. A failure is ignored."""
        with contextlib.suppress(subprocess.TimeoutExpired, OSError, Unreachable):
            subprocess.run(
                [*self._head(endpoint), *arguments],
                env={**self._environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                timeout=_CLEANUP_SECONDS,
                check=False,
            )

    # --- the end --------------------------------------------------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled > 0

    def pause(self, seconds: float) -> None:
        """Wait for some seconds, or until `cancel` is called."""
        end = time.monotonic() + seconds
        while not self._cancelled and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _PAUSE_STEP))

    def cancel(self) -> None:
        """Interrupt every running command, and later kill commands that still run. A second call kills immediately."""
        self._cancelled += 1
        if self._cancelled > 1:
            self._processes.signal_all(signal.SIGKILL)
            return
        self._processes.signal_all(signal.SIGINT)
        killer = threading.Timer(_KILL_AFTER, self._processes.signal_all, [signal.SIGKILL])
        killer.daemon = True
        killer.start()

    def close(self) -> None:
        """End the watchdog and remove the temporary folder. All commands must have ended."""
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._processes.close()

    def _check_end(self, returncode: int) -> None:
        """Raise Cancelled after `cancel`, OSError if the process could not write to the register."""
        if self._cancelled:
            raise Cancelled("cancelled")
        if returncode == UNREGISTERED:
            self._processes.raise_register_error()

    def _signal_latecomers(self) -> None:
        """Interrupt a process that `cancel` may have missed because it was about to start."""
        if self._cancelled:
            self._processes.signal_all(signal.SIGINT)

    # --- the start ------------------------------------------------------------------------------------------------

    def _head(self, endpoint: str) -> list[str]:
        """The start of a command line: docker, and the context or host of `endpoint`. Raises Unreachable."""
        option = "host" if "://" in endpoint else "context"
        client = DockerCommands(**{option: endpoint or None})
        try:
            return [str(part) for part in client.client_config.docker_cmd]
        except ClientNotFoundError:
            raise Unreachable(
                "the docker command was not found",
                hint="install Docker (https://docs.docker.com/get-docker/), or put docker on the PATH",
            ) from None

    @contextlib.contextmanager
    def _launch(
        self, endpoint: str, environment: Mapping[str, str] | None, stdin: str = "", cwd: Path | None = None
    ) -> Iterator[tuple[Launch, DockerCommands]]:
        """Yield a launch and the client whose processes it starts. When the block ends, these processes have ended."""
        if self._cancelled:
            raise Cancelled("cancelled")
        head = self._head(endpoint)
        with self._processes.launch({**self._environment, **(environment or {})}, stdin, cwd) as launch:
            self._signal_latecomers()
            yield launch, DockerCommands(client_call=[*launch.command, *head])


def _answer(
    request: Callable[[DockerCommands], Iterable[str]], client: DockerCommands, pipe: ErrorPipe
) -> tuple[int, str]:
    """Return the exit code and the standard output of a call after its end."""
    lines: deque[str] = deque()
    try:
        lines.extend(request(client))
    except DockerException as error:
        return error.return_code, error.stdout or "".join(lines)
    except UnicodeDecodeError as error:  # python-on-whales cannot decode the output
        return 1, error.object.decode(errors="replace")
    finally:
        pipe.release()
    return 0, "".join(lines)


def _is_unsent(stderr: str) -> bool:
    """Whether docker lost the reason why ssh ended. The request was not sent, so a second attempt is safe."""
    return bool(_UNSENT.search(stderr))
