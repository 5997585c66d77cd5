"""Commands that only read, in hostile checkouts.

They run no program of the checkout, open no connection, write nothing, read no file outside, end with 0 or 3, and need
at most two seconds of processor time and 200 MB.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any, cast

import pytest

from tests.checkout import CHECKOUT
from tests.unit.hostile.checkouts import CHECKOUTS, MARKS, SECRET, trap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.allow_subprocess
SECONDS = 2.0
MEGABYTES = 200
_ATTEMPTS = 3
_COMPLETION = {"_MPBAKE_COMPLETE": "bash_complete", "COMP_WORDS": "mpbake run ", "COMP_CWORD": "2"}
COMMANDS: Mapping[str, tuple[list[str], dict[str, str]]] = {
    "plan": (["plan"], {}),
    "check": (["check", "--untrusted"], {}),
    "list": (["list"], {}),
    "show": (["show", "*"], {}),
    "export": (["export"], {}),
    "diff": (["diff"], {}),
    "completion": ([], _COMPLETION),
}
READERS_OF_LARGE_PLANS = ["plan", "check", "completion"]
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|^\\s*::[a-z]|##\\[", re.MULTILINE)


class Server:
    """The process that runs mpbake; see `server.py`."""

    def __init__(self) -> None:
        environment = {"PYTHONPATH": str(CHECKOUT), "PATH": os.environ["PATH"]}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.hostile.server"],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answers.readline() == "ready\n"

    def run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a request."""
        requests = cast("IO[str]", self._process.stdin)
        requests.write(json.dumps(request) + "\n")
        requests.flush()
        return dict(json.loads(self._answers.readline()))

    def close(self) -> None:
        """End the server."""
        self._process.communicate()

    @property
    def _answers(self) -> IO[str]:
        return cast("IO[str]", self._process.stdout)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a running server."""
    server = Server()
    yield server
    server.close()


def listing(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return all files below `folder`, with what changes when somebody writes to them."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(place, name)  # noqa: PTH118 - names that are no text
            status = os.lstat(path)
            found[path] = (status.st_size, status.st_mtime_ns, status.st_mode)
    return found


def surroundings(root: Path) -> Path:
    """Write what is beside a checkout, and return the folder of the checkout."""
    for name in ("outside", "home/.docker/buildx/instances", MARKS, "checkout"):
        (root / name).mkdir(parents=True)
    (root / "outside/npmrc").write_text(f"//registry/:_authToken={SECRET}\n")
    (root / "outside/plan.toml").write_text(f"version = 1\n[variables]\ntoken = '{SECRET}'\n[targets.{SECRET}]\n")
    (root / "home/.npmrc").write_text(SECRET)
    return root / "checkout"


def faults(answer: Mapping[str, Any], output: str) -> list[str]:
    """Return what is wrong with a run of a command."""
    wrong = [str(violation) for violation in answer["violations"]]
    if answer["code"] not in {0, 3}:
        wrong.append(f"exit code {answer['code']}")
    if answer["seconds"] > SECONDS:
        wrong.append(f"{answer['seconds']:.1f} seconds")
    if answer["megabytes"] > MEGABYTES:
        wrong.append(f"{answer['megabytes']} MB")
    if "Traceback" in output or "mpbake itself failed" in output:
        wrong.append(f"a crash: {output[-500:]}")
    if SECRET in output:
        wrong.append("a secret")
    if match := _UNSAFE.search(output):
        wrong.append(f"unsafe output: {output[max(match.start() - 50, 0) : match.end() + 50]!r}")
    return wrong


def note(figures: str) -> None:
    """Append the figures of a run to the file that HOSTILE_FIGURES names, to find the slowest and the largest."""
    if file := os.environ.get("HOSTILE_FIGURES"):
        with open(file, "a", encoding="utf-8") as notes:  # noqa: PTH123 - several processes append
            notes.write(f"{figures}\n")


def fastest(server: Server, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a request. If it took too long, return the fastest of three: the machine may be busy."""
    answer = server.run(request)
    for _ in range(_ATTEMPTS - 1):
        if answer["seconds"] > SECONDS and not answer["violations"]:
            answer = min(answer, server.run(request), key=lambda attempt: float(attempt["seconds"]))
    return answer


def test_a_trap_leaves_a_mark(tmp_path: Path) -> None:
    folder = surroundings(tmp_path)
    subprocess.run([trap(folder / "bin/git", folder)], env={}, stdin=subprocess.DEVNULL, check=True)
    assert [path.name for path in (tmp_path / MARKS).iterdir()] == ["git"]


def test_the_size_of_the_corpus() -> None:
    assert len(CHECKOUTS) >= 100


def cases() -> Iterator[Any]:
    """Yield each checkout with the commands that run in it.

    With a large plan or costly templates, a command takes up to two seconds, most of it to resolve the plan, which all
    commands do. So most commands run there only in the long tests.
    """
    for name in CHECKOUTS:
        if name.startswith(("sizes-", "templates-")):
            yield pytest.param(name, READERS_OF_LARGE_PLANS, id=name)
            rest = [command for command in COMMANDS if command not in READERS_OF_LARGE_PLANS]
            yield pytest.param(name, rest, id=f"{name}-rest", marks=pytest.mark.long)
        else:
            yield pytest.param(name, list(COMMANDS), id=name)


@pytest.mark.parametrize(("name", "commands"), list(cases()))
def test_commands_in_a_hostile_checkout(name: str, commands: list[str], tmp_path: Path, server: Server) -> None:
    folder = surroundings(tmp_path)
    CHECKOUTS[name](folder)
    environment = {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]}
    environment |= {"TOKEN": SECRET, "LANG": "C.UTF-8"}
    before = listing(tmp_path)
    wrong: dict[str, list[str]] = {}
    for command in commands:
        arguments, variables = COMMANDS[command]
        output = tmp_path.parent / f"{tmp_path.name}-output"
        request = {
            "folder": str(folder),
            "arguments": arguments,
            "environment": {**environment, **variables},
            "output": str(output),
            "readable": [str(folder), str(tmp_path / "home/.docker/buildx/instances")],
        }
        answer = fastest(server, request)
        note(f"{answer['seconds']:.2f} s {answer['megabytes']} MB {name} {command}")
        if found := faults(answer, output.read_text(encoding="utf-8", errors="replace")):
            wrong[command] = found
    assert wrong == {}
    assert listing(tmp_path) == before
