"""The entries of builders in buildx's store."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mpbake.buildkit.builders.apply import reconcile
from mpbake.buildkit.builders.inventory import inventory
from mpbake.buildkit.builders.removal import remove
from mpbake.buildkit.nodes.instances.declaration import declare
from mpbake.model.plan import Builder, Driver, Node
from mpbake.report.plan.builder_text import changes_text
from tests.unit.dockers import done, failed
from tests.unit.plans import text
from tests.unit.workspaces import CI, INSPECTED, LOCAL, Engine, brought_up, two_plans, workspace_with

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.tls import Certificates


def test_an_entry_that_buildx_does_not_take_is_not_written(tmp_path: Path) -> None:
    engine = Engine()
    engine.answers = {"buildx inspect ci-local": done(INSPECTED), **engine.answers}
    engine.answers["buildx inspect"] = failed("ERROR: bad entry")
    _, _, errors = brought_up(tmp_path, engine)
    assert errors == ["ci: buildx does not accept it as declared: bad entry; its store is unchanged"]
    assert not (tmp_path / ".docker/buildx/instances").exists()


def test_an_entry_with_an_option_that_buildx_does_not_know_is_not_written(tmp_path: Path) -> None:
    """In this case `docker buildx inspect` lists the node with an error."""
    engine = Engine()
    engine.answers = {"buildx inspect ci-local": done(INSPECTED), **engine.answers}
    refused = "invalid driver option memory for docker-container driver"
    engine.answers["buildx inspect"] = done(f"Name: ci\n\nNodes:\nName: ci-local\nError: {refused}\n")
    _, _, errors = brought_up(tmp_path, engine)
    (error,) = errors
    assert error == (
        f"ci: buildx does not accept it as declared: {refused}; its store is unchanged\n"
        "  = install a newer buildx, or remove that option"
    )
    assert not (tmp_path / ".docker/buildx/instances").exists()


def test_a_node_of_several_pods_is_one(tmp_path: Path) -> None:
    engine = Engine()
    engine.answers["buildx inspect"] = done(INSPECTED + "Name: ci-local\nPlatforms: linux/arm64*\n")
    assert brought_up(tmp_path, engine)[2] == []
    assert (tmp_path / ".docker/buildx/instances/ci").exists()


def test_somebody_elses_builder_is_an_error_unless_it_says_the_same(tmp_path: Path) -> None:
    engine = Engine(mark=declare(LOCAL).mark)
    remote = replace(LOCAL, driver=Driver.REMOTE, endpoint="unix:///x", options=())
    node = {"Name": "x", "Endpoint": "tcp://a", "Platforms": None, "DriverOpts": None, "Flags": None}
    entry = {"Name": "ci", "Driver": "remote", "Nodes": [node]}
    path = tmp_path / ".docker/buildx/instances/ci"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(entry))
    _, _, errors = brought_up(tmp_path, engine)
    assert errors == [
        text("""
            ci: mpbake did not make the builder ci in buildx's store, and leaves it unchanged
              = rename your builder, use the existing one (external = true), or remove only its entry: \
docker buildx rm --keep-daemon ci
            """)
    ]
    assert json.loads(path.read_text()) == entry
    workspace, messages = workspace_with(tmp_path, engine)
    assert remove(workspace, replace(CI, nodes=(remote,)), keep_state=False) == []
    assert messages == ["ci: the builder of that name in buildx's store stays: mpbake did not make it"]


@pytest.mark.parametrize("driver", [Driver.DOCKER_CONTAINER, Driver.REMOTE])
def test_somebody_elses_builder_stays_though_mpbake_has_noted_one_of_its_name(tmp_path: Path, driver: Driver) -> None:
    declared = replace(CI, driver=driver, nodes=(replace(LOCAL, driver=driver, endpoint="unix:///x", options=()),))
    node = {"Name": "ci0", "Endpoint": "unix:///y", "Platforms": None, "DriverOpts": None, "Flags": None}
    path = tmp_path / ".docker/buildx/instances/ci"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"Name": "ci", "Driver": str(driver), "Nodes": [node]}))
    before = path.read_text()
    engine = Engine()
    workspace, messages = workspace_with(tmp_path, engine)
    workspace.services.records.add("ci", declared.nodes, workspace.plan)
    for _ in range(2):
        _, _, errors = brought_up(tmp_path, engine, declared)
        assert errors[-1].startswith(
            "ci: mpbake did not make the builder ci in buildx's store, and leaves it unchanged"
        )
    assert remove(workspace, declared, keep_state=False) == []
    assert messages[-1] == "ci: the builder of that name in buildx's store stays: mpbake did not make it"
    assert path.read_text() == before


def test_a_builder_of_remote_nodes_is_known_by_what_its_entry_says(tmp_path: Path) -> None:
    """The entry itself shows that the builder is the plan's own, since remote nodes have no mark."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(tmp_path / "s"))
        server.listen()
        remote = replace(LOCAL, driver=Driver.REMOTE, endpoint=f"unix://{tmp_path}/s", options=())
        declared = replace(CI, driver=Driver.REMOTE, nodes=(remote,))
        brought_up(tmp_path, Engine(), replace(declared, nodes=(replace(remote, platforms=()),)))
        plan, messages, errors = brought_up(tmp_path, Engine(), declared)
    assert "~ correct builder ci: buildx's store has other values" in plan
    assert (messages, errors) == (["ci: in buildx's store, for docker buildx build --builder ci"], [])
    workspace, messages = workspace_with(tmp_path, Engine())
    assert remove(workspace, declared, keep_state=False) == []
    assert messages == ["ci: removed from buildx's store"]


def test_a_remote_node_with_a_bad_certificate_is_not_put_into_the_store(
    tmp_path: Path, certificates: Certificates
) -> None:
    tls = replace(certificates.tls(), key=certificates.folder / "server.key")
    remote = replace(LOCAL, driver=Driver.REMOTE, endpoint="tcp://10.0.0.7:1234", options=(), tls=tls)
    declared = replace(CI, driver=Driver.REMOTE, nodes=(remote,))
    _, messages, errors = brought_up(tmp_path, Engine(), declared)
    assert [error.partition("\n")[0] for error in errors] == ["ci/local: tls.key: does not belong to tls.cert"]
    assert messages == ["ci: not added to buildx's store until all of its nodes can be made"]
    assert not (tmp_path / ".docker/buildx/instances").exists()
    workspace, _ = workspace_with(tmp_path, Engine())
    assert workspace.services.records.of_plan(workspace.plan) == []


def test_the_entry_goes_of_a_builder_that_is_the_engines_own_by_now(tmp_path: Path) -> None:
    """With the old entry, `docker buildx build --builder` would use the old builder.

    The entry of another plan stays.
    """
    engine = Engine()
    engine.answers = {"buildx inspect far": done("Name: far\nPlatforms: linux/amd64\n"), **engine.answers}
    node = Node(builder="ci", name="local", driver=Driver.DOCKER, endpoint="far")
    declared = Builder(name="ci", driver=Driver.DOCKER, nodes=(node,))
    one, other, messages = two_plans(tmp_path, engine)
    assert not reconcile(one, CI, lambda _: None).errors
    assert reconcile(other, declared, lambda _: None).changes == ()
    (listed,) = inventory(one.services, declared, one.plan)
    assert listed.drift == ("entry: driver",)
    messages.clear()
    state = reconcile(one, declared, lambda _: None)
    why = "the builder has the `docker` driver now, which needs no entry in buildx's store"
    assert changes_text(declared, state.changes).splitlines()[1:] == [
        f"  - remove builder ci: {why}",
        "      driver: docker-container -> docker",
    ]
    assert messages == ["ci: removed from buildx's store"]
    assert reconcile(one, declared, lambda _: None).changes == ()
    (record,) = one.services.records.of_plan(one.plan)
    assert [made.name for made in record.undeclared(declared)] == ["local"], "prune still finds what was made"
