"""The facts of the engine in use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import Unreachable
from mpbake.base.platforms import parse_platform
from mpbake.buildkit.nodes.engines.contexts import inspect_context_in_use
from mpbake.buildkit.nodes.engines.engine import Engines, ask_engine, engine_unreachable
from mpbake.graph.node_facts import EngineFacts
from tests.unit.dockers import FakeDocker, done, failed

if TYPE_CHECKING:
    from mpbake.buildkit.process.completed import Completed

HINT = (
    "  = start it (Docker Desktop, or: sudo systemctl start docker), or correct DOCKER_HOST or "
    "the docker context; try: docker info"
)


def info(**changes: Any) -> str:
    """Return the output of `docker system info`, with the fields that mpbake reads."""
    output = {"ID": "x", "OSType": "linux", "Architecture": "x86_64", "DriverStatus": [["Supports d_type", "true"]]}
    return json.dumps(output | changes) + "\n"


@pytest.mark.parametrize(
    ("status", "containerd"),
    [
        (None, False),
        ([], False),
        ([["Backing Filesystem", "extfs"], ["Supports d_type", "true"]], False),
        ([["driver-type", "io.containerd.snapshotter.v1"]], True),
        ([[], ["driver-type", "io.containerd.snapshotter.v1"]], True),
    ],
)
def test_what_an_engine_can_do(status: list[list[str]] | None, *, containerd: bool) -> None:
    docker = FakeDocker({"system info": done(info(DriverStatus=status, Architecture="aarch64"))})
    assert ask_engine(docker) == EngineFacts(platform=parse_platform("linux/arm64"), containerd_store=containerd)
    assert docker.commands == ["system info --format {{json .}}"]
    assert docker.settings == [{"endpoint": "", "environment": {}, "timeout": 30.0}]


def test_an_engine_that_complains_of_something_else_answers_all_the_same() -> None:
    docker = FakeDocker({"system info": failed("WARNING: no swap limit support", stdout=info())})
    assert ask_engine(docker).platform == parse_platform("linux/amd64")


# without an engine, docker prints only the facts of the client
@pytest.mark.parametrize(
    ("machine", "platform"),
    [
        ("armv6l", "linux/arm/v6"),
        ("armv7l", "linux/arm/v7"),
        ("armv8l", "linux/arm/v7"),
        ("loongarch64", "linux/loong64"),
        ("s390x", "linux/s390x"),
    ],
)
def test_what_a_kernel_calls_its_machine(machine: str, platform: str) -> None:
    docker = FakeDocker({"system info": done(info(Architecture=machine))})
    assert ask_engine(docker).platform == parse_platform(platform)


NOBODY = info(OSType="", Architecture="", DriverStatus=None, ServerErrors=["Cannot connect\x1b[31m to it", "more"])


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        (failed("errors pretty printing info", stdout=NOBODY), "Cannot connect to it"),
        (done(NOBODY), "Cannot connect to it"),
        (failed("ERROR: one\nERROR: Cannot connect\x1b[31m\n"), "Cannot connect"),
        (failed("permission denied", stdout=info(OSType="", ServerErrors=[])), "permission denied"),
        (failed("permission denied", stdout=info(OSType="", ServerErrors="x")), "permission denied"),
        (failed("", stdout=info(OSType="")), "docker gives no reason"),
        (failed("half", stdout=info()[:20], timed_out=True), "no answer in time"),
        (failed("", timed_out=True), "no answer in time"),
        (failed(""), "docker gives no reason"),
        (done("null"), "docker gives no reason"),
        (done("[]"), "docker gives no reason"),
        (done("{}"), "docker gives no reason"),
    ],
)
def test_an_engine_that_does_not_answer(answer: Completed, output: str) -> None:
    with pytest.raises(Unreachable) as caught:
        ask_engine(FakeDocker({"system info": answer}))
    assert str(caught.value) == f"the Docker engine does not answer: {output}\n{HINT}"


def test_an_engine_that_this_user_may_not_use() -> None:
    denied = "permission denied while trying to connect to the docker API at unix:///run/docker.sock"
    docker = FakeDocker({"system info": failed("x", stdout=info(OSType="", ServerErrors=[denied]))})
    with pytest.raises(Unreachable) as caught:
        ask_engine(docker)
    assert str(caught.value) == (
        f"this user may not use Docker ({denied})\n"
        "  = add this user to the group docker: sudo usermod -aG docker USER, then log in again; or set DOCKER_HOST"
    )


@pytest.mark.parametrize(
    "output",
    [
        'current context "x" is not found on the file system',
        'Failed to initialize: unable to resolve docker endpoint: context "x": context not found: open /meta.json: no',
    ],
)
def test_a_context_that_is_not_there(output: str) -> None:
    docker = FakeDocker({"context inspect": failed(f"{output}\n"), "system info": failed(output)})
    for ask in (lambda: inspect_context_in_use(docker), lambda: ask_engine(docker)):
        with pytest.raises(Unreachable) as caught:
            ask()
        assert str(caught.value) == (
            f"the docker context in use does not exist ({output})\n"
            "  = choose another: docker context use NAME, and unset DOCKER_CONTEXT; docker context ls lists them"
        )


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "docker gives no reason"),
        (" \n \n", "docker gives no reason"),
        ("one\nERROR: two\n\n", "two"),
        ("\x1b[31mred\x1b[0m", "red"),
    ],
)
def test_the_last_line_counts(output: str, message: str) -> None:
    assert engine_unreachable(output).message == f"the Docker engine does not answer: {message}"


def test_each_engine_is_asked_once_and_again_only_where_it_did_not_answer() -> None:
    answers = [done(info(NCPU=8)), failed("Cannot connect"), done(info(NCPU="many"))]
    docker = FakeDocker({"system info": lambda _: answers.pop(0)})
    engines = Engines(docker)
    assert [engines.facts().cpus, engines.facts().cpus] == [8, 8]
    with pytest.raises(Unreachable):
        engines.facts("far")
    assert [engines.facts("far").cpus, engines.facts("far").cpus] == [0, 0]
    assert [settings["endpoint"] for settings in docker.settings] == ["", "far", "far"]
