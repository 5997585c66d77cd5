"""Remote nodes: the checks of mpbake before buildx connects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import Unreachable
from mpbake.buildkit.nodes.drivers.remote import REMOTE_BACK_END
from mpbake.buildkit.nodes.instances.instances import Instances
from mpbake.model.plan import Driver, Node
from tests.unit.dockers import FakeDocker, done, failed

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.buildkit.process.completed import Completed

NODE = Node(builder="CI", name="local", driver=Driver.REMOTE)


def instances_with(folder: Path, inspected: Completed) -> tuple[Instances, FakeDocker]:
    """Return instances with an engine that describes a container in this way."""
    docker = FakeDocker({"container inspect": inspected})
    return Instances(docker, folder, {}), docker


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (done("running\n"), ""),
        (failed("Error: No such container: bk"), "the container bk does not exist"),
        (done("exited\n"), "the container bk is exited"),
        (done("paused\n"), "the container bk is paused"),
    ],
)
def test_a_node_in_a_container(tmp_path: Path, answer: Completed, problem: str) -> None:
    node = replace(NODE, endpoint="docker-container://bk")
    instances, docker = instances_with(tmp_path, answer)
    if problem:
        with pytest.raises(Unreachable) as caught:
            REMOTE_BACK_END.survey(instances, node)
        starting = 'start it; a plan makes containers with driver = "docker-container"'
        hint = "resume it: docker unpause bk" if "paused" in problem else starting
        assert str(caught.value) == f"node CI/local cannot be used: {problem}\n  = {hint}"
    else:
        REMOTE_BACK_END.survey(instances, node)
    assert docker.commands == ["container inspect --format {{.State.Status}} -- bk"]
    REMOTE_BACK_END.survey(instances, replace(node, endpoint="tcp://10.0.0.5:1234"))
    assert len(docker.commands) == 1


def test_a_node_in_a_container_of_another_context(tmp_path: Path) -> None:
    node = replace(NODE, endpoint="docker-container://bk?context=far")
    instances, docker = instances_with(tmp_path, done("running\n"))
    REMOTE_BACK_END.survey(instances, node)
    assert docker.commands == ["container inspect --format {{.State.Status}} -- bk"]
    assert [settings["endpoint"] for settings in docker.settings] == ["far"]
