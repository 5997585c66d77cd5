"""What buildx is told of a node, and what the node says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.buildkit.declaration import declare
from mpbake.plan import Driver, Node
from mpbake.platforms import parse_platforms
from tests.unit.dockers import FakeDocker, done
from tests.unit.sites import site_with

if TYPE_CHECKING:
    from pathlib import Path


def test_a_kubernetes_builder(tmp_path: Path) -> None:
    """What `create` is told."""
    node = Node(
        builder="k",
        name="n",
        driver=Driver.KUBERNETES,
        options=(("namespace", "ci"), ("nodeselector", "a=b,c=d"), ("replicas", "2")),
    )
    docker = FakeDocker({"buildx create": done(), "buildx inspect": done("Platforms: linux/amd64\n")})
    site, _ = site_with(tmp_path, docker)
    ready = site.tools.instances.written(node)
    assert docker.commands == [
        (
            "buildx create --name k-n --node k-n --driver kubernetes --driver-opt namespace=ci "
            f'--driver-opt "nodeselector=a=b,c=d" --driver-opt replicas=2 '
            f"--driver-opt annotations=mpbake-node={declare(node).mark.replace('=', ':')}"
        )
    ]
    assert site.tools.instances.booted(ready).facts.platforms == parse_platforms(["linux/amd64"])
