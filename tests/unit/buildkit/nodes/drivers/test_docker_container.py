"""Containers of nodes: mpbake finds them, recognizes them by their mark, and removes them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import ImageUnavailable, Unreachable
from mpbake.buildkit.nodes.drivers.container.containers import Containers
from mpbake.buildkit.nodes.first_start import NodeStart
from mpbake.model.drivers.docker_container import container_name
from mpbake.model.node_resources import volume_name
from mpbake.model.node_state import CacheRemoval, NodeResource
from mpbake.model.plan import Driver, Node
from tests.unit.dockers import FakeDocker, container, done, failed

if TYPE_CHECKING:
    from mpbake.buildkit.process.completed import Completed

NODE = Node(builder="CI", name="local", driver=Driver.DOCKER_CONTAINER, endpoint="ssh://far")
FOUND = NodeResource(id="c0ffee", name="buildx_buildkit_ci-local", status="running", mark="a=1")


def containers(**answers: Any) -> tuple[Containers, FakeDocker]:
    docker = FakeDocker({name.replace("_", " "): answer for name, answer in answers.items()})
    return Containers(docker=docker), docker


def test_names() -> None:
    assert (container_name(NODE), volume_name(NODE)) == ("buildx_buildkit_ci-local", "buildx_buildkit_ci-local_state")


def test_what_there_is() -> None:
    this, docker = containers(container_inspect=container("MPBAKE_NODE=a=1", "A=b=c", image="i", busy=True))
    assert this.find(NODE) == replace(
        FOUND,
        busy=True,
        settings=(
            ("env.A", "b=c"),
            ("env.PATH", "/bin"),
            ("image", "i"),
            ("network", "host"),
            ("restart-policy", "unless-stopped"),
        ),
    )
    assert docker.commands == ["container inspect --format {{json .}} buildx_buildkit_ci-local"]
    assert docker.settings[0]["endpoint"] == "ssh://far"


def test_there_is_none() -> None:
    this, _ = containers(container_inspect=failed("Error: No such container: x"))
    assert this.find(NODE) is None
    assert this.own(NODE) is None


def test_nobody_answers() -> None:
    this, _ = containers(container=failed("no route to host"), volume=failed("no route to host"))
    for ask in (this.find, this.own, this.forget_cache):
        with pytest.raises(Unreachable, match="no route to host"):
            ask(NODE)
    with pytest.raises(Unreachable, match="no route to host"):
        this.stop(NODE, FOUND)
    assert this.end_of_log(NODE) == ""


def test_an_end_in_order() -> None:
    this, docker = containers(
        container=done(), volume_inspect=done('{"mpbake-node": "ci/local"}'), volume_remove=done()
    )
    this.remove(NODE, FOUND)
    this.remove(NODE, replace(FOUND, status="exited"))
    this.remove(NODE, replace(FOUND, status="paused"))
    assert this.forget_cache(NODE) is CacheRemoval.REMOVED
    assert docker.commands == [
        "container stop c0ffee",
        "container rm --force c0ffee",
        "container rm --force c0ffee",
        "container unpause c0ffee",
        "container stop c0ffee",
        "container rm --force c0ffee",
        "volume inspect --format {{json .Labels}} buildx_buildkit_ci-local_state",
        "volume remove buildx_buildkit_ci-local_state",
    ]


@pytest.mark.parametrize(
    ("answer", "removal"),
    [
        (failed("Error response from daemon: get x: no such volume"), CacheRemoval.NOTHING),
        (done("null\n"), CacheRemoval.FOREIGN),
        (done('{"com.docker.volume.anonymous":""}\n'), CacheRemoval.FOREIGN),
    ],
)
def test_a_volume_that_somebody_else_made_is_not_removed(answer: Completed, removal: CacheRemoval) -> None:
    this, docker = containers(volume_inspect=answer)
    assert this.forget_cache(NODE) is removal
    assert not [command for command in docker.commands if not command.startswith("volume inspect")]


def test_an_engine_that_does_not_tell_of_its_volumes() -> None:
    this, _ = containers(volume_inspect=failed("no route to host"))
    for ask in (this.check_new, this.prepare, this.forget_cache):
        with pytest.raises(Unreachable):
            ask(NODE)


@pytest.mark.parametrize(
    ("status", "busy", "used"),
    [
        ("running", True, True),
        ("running", False, False),
        ("paused", True, True),
        ("exited", True, False),
        ("restarting", True, False),
    ],
)
def test_in_use(status: str, *, busy: bool, used: bool) -> None:
    this, _ = containers(container_top=done("PID CMD\n1 buildkitd\n9 buildctl dial-stdio\n"))
    assert this.is_used(NODE, replace(FOUND, status=status, busy=busy)) is used


DOWNLOADING = "9db0c266a1c0: Downloading  2.097MB/251.3MB\r"


def test_an_image_that_the_engine_has_is_left_to_buildx() -> None:
    this, docker = containers()
    output: list[str] = []
    this.fetch(NODE, NodeStart.of(NODE, output.append))
    assert docker.commands == ["image inspect -- moby/buildkit:buildx-stable-1"]
    assert output == []


def test_an_image_that_the_engine_lacks_is_pulled() -> None:
    this, docker = containers(image_inspect=failed("No such image"), pull=done(DOWNLOADING))
    docker.redact = lambda text: text.replace("hunter2", "***")
    output: list[str] = []
    this.fetch(replace(NODE, options=(("image", "r/hunter2:1"),)), NodeStart.of(NODE, output.append))
    assert docker.commands[1:] == ["pull -- r/hunter2:1"]
    assert docker.settings[1]["endpoint"] == "ssh://far"
    assert 290 < docker.settings[1]["timeout"] <= 300
    assert output == ["pulling r/***:1", "pulling r/***:1: 2.1 MB of 251.3 MB"]


@pytest.mark.parametrize(("drawn", "arrived"), [("", "nothing"), (DOWNLOADING, "only 2.1 MB of 251.3 MB")])
def test_a_pull_that_takes_too_long(drawn: str, arrived: str) -> None:
    slow = failed("", stdout=drawn, timed_out=True)
    this, _ = containers(image_inspect=failed("No such image"), pull=slow)
    with pytest.raises(ImageUnavailable) as caught:
        this.fetch(NODE, NodeStart.of(NODE))
    image = "moby/buildkit:buildx-stable-1"
    assert str(caught.value) == (
        f"node CI/local (docker-container, ssh://far) cannot be used: pulling {image} takes too long: "
        f"{arrived} arrived within 5m00s\n"
        f"  = raise boot-timeout; or pull it beforehand: docker -H ssh://far pull {image}"
    )


@pytest.mark.parametrize(
    ("answer", "starting"),
    [
        (done("running 0\n"), True),
        (done("running 3\n"), False),
        (done("restarting 1\n"), False),
        (done("exited 0\n"), False),
        (failed("No such container"), False),
    ],
)
def test_starting(answer: Completed, *, starting: bool) -> None:
    this, docker = containers(container_inspect=answer)
    assert this.is_starting(NODE) is starting
    assert docker.commands == [
        "container inspect --format {{.State.Status}} {{.RestartCount}} buildx_buildkit_ci-local"
    ]


@pytest.mark.parametrize(("top", "used"), [(done("PID CMD\n1 buildkitd\n"), False), (failed("cannot"), True)])
def test_commands_that_have_ended_are_told_by_the_processes(top: Completed, *, used: bool) -> None:
    this, docker = containers(container_top=top)
    assert this.is_used(NODE, replace(FOUND, status="running", busy=True)) is used
    assert docker.commands == [f"container top {FOUND.id}"]


def test_last_words() -> None:
    output = "\n".join(f"line {number}" for number in range(30))
    this, _ = containers(container_logs=done(stderr=f"{output}\n\x1b[31mbad\x1b[0m flag\n"))
    lines = this.end_of_log(NODE).splitlines()
    assert (lines[:2], lines[-1]) == (["its log ends with:", "  line 21"], "  bad flag")


def test_an_image_is_no_option() -> None:
    this, docker = containers(image_inspect=failed("No such image"), pull=failed("invalid reference format"))
    with pytest.raises(Unreachable):
        this.fetch(replace(NODE, options=(("image", "--all-tags"),)), NodeStart.of(NODE))
    assert docker.commands == ["image inspect -- --all-tags", "pull -- --all-tags"]
