"""The clients for the registries of a builder."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from mpbake.buildkit.registry.registries import Registries, configs_of
from mpbake.model.plan import Builder, Driver, Node
from tests.unit.dockers import FakeDocker, done
from tests.unit.plans import target_of_text

if TYPE_CHECKING:
    from pathlib import Path

HTTP = '[registry."r:5000"]\nhttp = true\n'


def builder_of(text: str) -> Builder:
    return target_of_text(f'[targets.web]\nbuilder = "x"\n{text}').builder


def url_of(builder: Builder, environment: dict[str, str]) -> str:
    client = Registries(FakeDocker({}), environment).client(builder)
    return client.hosts.endpoint("r:5000").url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("[builders.x]", "https://r:5000"),
        ('[builders.x]\nbuildkitd.registry."r:5000".http = true', "http://r:5000"),
        ('[builders.x]\ndriver = "kubernetes"\nbuildkitd.registry."r:5000".http = true', "http://r:5000"),
        ('[builders.x]\ndriver = "docker"', "https://r:5000"),
    ],
)
def test_what_the_nodes_of_a_builder_are_told_counts(text: str, url: str, tmp_path: Path) -> None:
    assert url_of(builder_of(text), {"HOME": str(tmp_path)}) == url


def test_the_users_defaults_count_for_containers_without_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "buildkitd.default.toml").write_text(HTTP)
    environment = {"BUILDX_CONFIG": str(tmp_path)}
    assert url_of(builder_of("[builders.x]"), environment) == "http://r:5000"
    assert url_of(builder_of("[builders.x]\nbuildkitd.debug = true"), environment) == "https://r:5000"
    assert url_of(builder_of('[builders.x]\ndriver = "docker"'), environment) == "https://r:5000"


@pytest.mark.parametrize("damaged", [False, True])
def test_what_buildx_keeps_of_a_builder_of_the_users_counts(tmp_path: Path, *, damaged: bool) -> None:
    (tmp_path / "instances").mkdir()
    kept = "!" if damaged else base64.b64encode(HTTP.encode()).decode()
    entry = {"Name": "mine", "Nodes": [{"Name": "a", "Files": None}, {"Name": "b", "Files": {"buildkitd.toml": kept}}]}
    (tmp_path / "instances/mine").write_text(json.dumps(entry))
    node = Node(builder="Mine", name="a", driver=Driver.DOCKER_CONTAINER, external=True)
    builder = Builder(name="Mine", driver=Driver.DOCKER_CONTAINER, nodes=(node,), external=True)
    environment = {"BUILDX_CONFIG": str(tmp_path)}
    assert url_of(builder, environment) == ("https://r:5000" if damaged else "http://r:5000")
    assert list(configs_of(builder, {"BUILDX_CONFIG": "/nowhere"})) == []


def test_a_helper_is_run_as_docker_is(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "x"}')
    docker = FakeDocker({"docker-credential-x": done('{"Username": "me", "Secret": "pw"}')})
    registries = Registries(docker, {"DOCKER_CONFIG": str(tmp_path)})
    client = registries.client(builder_of("[builders.x]"))
    login = client.authorization._credentials.login("r", "web", ("pull",))
    assert (login.name, docker.commands) == ("me", ["docker-credential-x get r"])
    assert client is registries.client(builder_of("[builders.x]")), "each builder has one client"
    registries.close()
