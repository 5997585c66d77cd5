"""A server that runs mpbake in a fork for each request, so that Python and mpbake start only once.

Each line of standard input is a request: a JSON object with `folder`, `arguments`, `environment`, `output` (the file
for both streams) and `readable` (the folders that mpbake may read). Each line of standard output is the answer: the
exit code, the seconds of processor time, the megabytes of memory, and what mpbake did that it may not do.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

_SECONDS = 100
"""The time after which a process that hangs ends. A loaded machine may need long for a second of work."""
_OPENING = frozenset({"open", "os.listdir", "os.scandir"})
_CHANGING = frozenset(
    {"os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"}
)
_STARTING = frozenset({"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"})
_CONNECTING = frozenset({"socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Watch:
    """An audit hook that records what a process of mpbake may not do."""

    def __init__(self, readable: list[str]) -> None:
        self.violations: list[str] = []
        self._readable = [Path(os.path.realpath(folder)) for folder in readable]

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Record an event."""
        if event in _OPENING:
            self._check_path(event, arguments)
        elif event == "subprocess.Popen":
            program = str(arguments[0])
            if not (program.startswith("/") and Path(program).name == "git") or self._is_readable(Path(program)):
                self.violations.append(f"started {program}")
        elif event in _CHANGING | _CONNECTING or (event in _STARTING and event != "os.fork"):
            self.violations.append(f"{event} {arguments!r}"[:300])

    def _check_path(self, event: str, arguments: tuple[Any, ...]) -> None:
        path = arguments[0]
        if not isinstance(path, str | bytes | os.PathLike):  # an open descriptor
            return
        place = Path(os.path.realpath(os.fsdecode(path)))
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING and str(place) != os.devnull:
            self.violations.append(f"opened {place} to write")
        elif not self._is_readable(place) and not _is_of_python(place):
            self.violations.append(f"opened {place}")

    def _is_readable(self, place: Path) -> bool:
        return any(place.is_relative_to(folder) for folder in self._readable)


def _is_of_python(place: Path) -> bool:
    return any(place.is_relative_to(folder) for folder in _PYTHON) or str(place) == os.devnull


_PYTHON = {Path(os.path.realpath(folder)) for folder in (sys.prefix, sys.base_prefix, *filter(None, sys.path))}
_PYTHON |= {Path("/usr/share/zoneinfo"), Path("/etc/localtime")}


def _import_all() -> None:
    """Import mpbake, except the packages that only change things."""
    package = importlib.import_module("mpbake")
    for module in pkgutil.walk_packages(package.__path__, "mpbake."):
        if not module.name.startswith(("mpbake.buildkit", "mpbake.__main__", "mpbake.cli.commands.")):
            importlib.import_module(module.name)
    for name in ("check", "diff", "export", "list", "plan", "show"):
        importlib.import_module(f"mpbake.cli.commands.{name}")
    for name in ("mpbake.__main__", "jinja2.filters", "mpbake.buildkit.nodes.instances.buildx_store", "re2"):
        importlib.import_module(name)


def _run(request: dict[str, Any], report: int) -> None:
    """Be mpbake. Write the violations to the descriptor `report`, and end this process."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.alarm(_SECONDS)
    sys.argv = ["mpbake", *request["arguments"]]
    watch = Watch(request["readable"])
    sys.addaudithook(watch)
    code: Any = 1
    try:
        importlib.import_module("mpbake.__main__").main()
    except SystemExit as exit_:
        code = exit_.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        violations = list(watch.violations)
        os.write(report, json.dumps(violations[:20]).encode())
        os._exit(code if isinstance(code, int) else 1)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    reader, writer = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run(request, writer)
    os.close(writer)
    _, status, usage = os.wait4(child, 0)
    with os.fdopen(reader, "rb") as report:
        violations = report.read()
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": usage.ru_utime + usage.ru_stime,
        "elapsed": time.monotonic() - began,
        "megabytes": usage.ru_maxrss // (1024 if sys.platform == "linux" else 1024**2),
        "violations": json.loads(violations) if violations else ["ended without a report"],
    }


def main() -> None:
    """Answer requests until the input ends."""
    _import_all()
    gc.freeze()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
