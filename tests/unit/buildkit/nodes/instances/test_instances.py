"""buildx instances of single nodes: the create call, and the facts of a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.base.platforms import parse_platforms
from mpbake.buildkit.nodes.first_start import NodeStart
from mpbake.buildkit.nodes.instances.declaration import declare
from mpbake.buildkit.nodes.instances.instances import Instances
from mpbake.model.plan import Driver, Node
from tests.unit.dockers import FakeDocker, done
from tests.unit.workspaces import workspace_with

if TYPE_CHECKING:
    from pathlib import Path


def test_a_kubernetes_builder(tmp_path: Path) -> None:
    """The arguments of `create`."""
    node = Node(
        builder="k",
        name="n",
        driver=Driver.KUBERNETES,
        options=(("namespace", "ci"), ("nodeselector", "a=b,c=d"), ("replicas", "2")),
    )
    docker = FakeDocker({"buildx create": done(), "buildx inspect": done("Platforms: linux/amd64\n")})
    workspace, _ = workspace_with(tmp_path, docker)
    ready = workspace.services.instances.write(node)
    assert docker.commands == [
        (
            "buildx create --name k-n --node k-n --driver kubernetes --driver-opt namespace=ci "
            f'--driver-opt "nodeselector=a=b,c=d" --driver-opt replicas=2 '
            f"--driver-opt annotations=mpbake-node={declare(node).mark.replace('=', ':')}"
        )
    ]
    assert workspace.services.instances.boot(ready, NodeStart.of(node)).facts.platforms == parse_platforms(
        ["linux/amd64"]
    )


@pytest.mark.parametrize("asked", ["true", "false", ""])
def test_buildx_knows_the_workflow_run_where_it_makes_a_container_that_asks_for_it(tmp_path: Path, asked: str) -> None:
    options = (("provenance-add-gha", asked),) if asked else ()
    node = Node(builder="k", name="n", driver=Driver.DOCKER_CONTAINER, endpoint="ssh://far", options=options)
    docker = FakeDocker({"buildx create": done(), "buildx inspect": done("Platforms: windows(10.0.20348)/amd64\n")})
    instances = Instances(docker, tmp_path, {"GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "secret"})

    ready = instances.boot(instances.write(node), NodeStart.of(node))

    variables = {"GITHUB_ACTIONS": "true"} if asked == "true" else {}
    assert docker.settings[-1]["environment"] == {"BUILDX_CONFIG": str(tmp_path / "k-n"), **variables}
    # newer buildx prints the version of an operating system
    assert ready.facts.platforms == parse_platforms(["windows/amd64"])


@pytest.mark.parametrize("driver", [Driver.DOCKER_CONTAINER, Driver.REMOTE])
def test_the_users_logins_for_single_repositories_are_found_beside_an_instance(driver: Driver, tmp_path: Path) -> None:
    user, folder = tmp_path / "user", tmp_path / "nodes"
    (user / "config/r").mkdir(parents=True)
    (user / "config/r/config.json").write_text("{}")
    folder.mkdir()
    node = Node(builder="k", name="n", driver=driver, endpoint="unix:///n")
    for _ in range(2):  # even if an earlier run left a value
        docker = FakeDocker({"buildx create": done()})
        ready = Instances(docker, folder, {"BUILDX_CONFIG": str(user)}).write(node)
        assert (ready.store / "config/r/config.json").read_text() == "{}"
        assert (ready.store / "config").is_symlink()
    assert (user / "config/r/config.json").exists()
