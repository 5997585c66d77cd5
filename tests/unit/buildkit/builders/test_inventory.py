"""The list of declared nodes with their actual state."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.platforms import parse_platforms
from mpbake.buildkit.builders.inventory import inventory
from mpbake.model.plan import Builder, Driver, Node
from mpbake.report.plan.builder_text import inventory_text
from tests.unit.dockers import FakeDocker, done, failed
from tests.unit.tls import issued, serving
from tests.unit.workspaces import CI, LOCAL, NO_CONTEXT, WANTS_CERTIFICATE, Engine, brought_up, secured, workspace_with

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.tls import Certificates


def test_an_inventory_of_an_engine_that_cannot_be_trusted(tmp_path: Path, certificates: Certificates) -> None:
    engine = Engine(**NO_CONTEXT)
    workspace, _ = workspace_with(tmp_path, engine)
    with serving(certificates.engine()) as port:
        node = secured(port, certificates, without="cert key")
        (listed,) = inventory(workspace.services, replace(CI, nodes=(node,)), workspace.plan)
    assert (listed.status, listed.trouble) == ("unusable", WANTS_CERTIFICATE)
    assert engine.commands == []


def test_an_inventory_warns_of_certificates_that_end_soon(tmp_path: Path, certificates: Certificates) -> None:
    soon = issued(certificates, tmp_path / "certs", days=(-1, 9))
    workspace, _ = workspace_with(tmp_path, Engine(**NO_CONTEXT))
    with serving(soon.engine()) as port:
        node = secured(port, soon)
        (listed,) = inventory(workspace.services, replace(CI, nodes=(node,)), workspace.plan)
    (warning,) = listed.warnings
    assert warning.startswith('ci/local: tls.cert: "CN=client" expires in ')


def test_an_inventory_starts_nothing_of_others(tmp_path: Path) -> None:
    path = tmp_path / ".docker/buildx/instances/theirs"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"Name": "theirs", "Driver": "docker-container", "Nodes": [{"Name": "theirs0"}]}))
    docker = FakeDocker({"buildx inspect": done("Name: theirs0\nStatus: stopped\n")})
    node = Node(builder="theirs", name="theirs0", driver=Driver.DOCKER_CONTAINER, external=True)
    workspace, _ = workspace_with(tmp_path, docker)
    (listed,) = inventory(
        workspace.services, Builder(name="theirs", driver=node.driver, nodes=(node,), external=True), workspace.plan
    )
    assert (listed.status, listed.trouble) == ("stopped", "")
    assert docker.commands == ["buildx inspect theirs0"]


def test_an_inventory_says_so_where_an_entry_has_other_nodes(tmp_path: Path) -> None:
    engine = Engine()
    brought_up(tmp_path, engine)
    workspace, _ = workspace_with(tmp_path, engine)
    renamed = replace(CI, nodes=(replace(LOCAL, name="near"),))
    assert inventory(workspace.services, renamed, workspace.plan)[0].drift == (
        "entry: node ci-local",
        "entry: node ci-near",
    )


def test_an_inventory(tmp_path: Path) -> None:
    engine = Engine()
    workspace, _ = workspace_with(tmp_path, engine)
    assert "missing" in inventory_text([inventory(workspace.services, CI, workspace.plan)])
    brought_up(tmp_path, engine)
    (listed,) = inventory(workspace.services, CI, workspace.plan)
    assert (listed.status, listed.reported, listed.drift) == ("running", parse_platforms(["linux/arm64"]), ())
    engine.made = "driver=0"
    other = replace(CI, nodes=(replace(LOCAL, platforms=()),))
    (listed,) = inventory(workspace.services, other, workspace.plan)
    assert listed.drift == ("driver", "memory", "entry: platforms")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(tmp_path / "s"))
        server.listen()
        remote = replace(LOCAL, driver=Driver.REMOTE, endpoint=f"unix://{tmp_path}/s", options=())
        (listed,) = inventory(workspace.services, replace(CI, driver=Driver.REMOTE, nodes=(remote,)), workspace.plan)
    assert listed.drift == ("entry: driver", "entry: mark", "entry: endpoint", "entry: memory")
    engine.status = "exited"
    assert inventory(workspace.services, CI, workspace.plan)[0].status == "exited"
    engine.answers["buildx inspect"] = failed("ERROR: no")
    engine.status = "running"
    (listed,) = inventory(workspace.services, CI, workspace.plan)
    assert listed.status == "unusable"
    assert listed.trouble == (
        "node ci/local (docker-container, ssh://far) cannot be used: no\n  = try: docker -H ssh://far version"
    )
