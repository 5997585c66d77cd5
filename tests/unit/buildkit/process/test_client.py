"""The commands that mpbake adds to python-on-whales, and their command lines."""

from __future__ import annotations

import pytest

from tests.unit.dockers import FakeDocker, done


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ({}, "buildx bake --file - web"),
        ({"allow": ["ssh", "network.host"]}, "buildx bake --file - --allow ssh --allow network.host web"),
    ],
)
def test_a_bake_call_with_grants(options: dict[str, list[str]], command: str) -> None:
    docker = FakeDocker({"buildx bake": done()})
    docker.call(lambda client: list(client.buildx.bake(["web"], files=["-"], stream_logs=True, **options)))
    assert docker.commands == [command]


def test_a_builder_with_a_named_node_is_created_and_described_with_one_command() -> None:
    docker = FakeDocker({"buildx create": done("ci\n"), "buildx inspect": done("Name: ci\nDriver: remote\n")})
    name = docker.call(
        lambda client: client.buildx.create_node("ci", "intel", "remote", "--driver-opt", "a=b,c", endpoint="tcp://x:1")
    )
    described = docker.follow(lambda client: client.buildx.describe("ci", bootstrap=True), timeout=20)
    assert (name, described.stdout) == ("ci", "Name: ci\nDriver: remote")
    assert docker.commands == [
        "buildx create --name ci --node intel --driver remote --driver-opt a=b,c tcp://x:1",
        "buildx inspect ci --bootstrap",
    ]


def test_a_push_is_one_command() -> None:
    docker = FakeDocker({"image push": done()})
    docker.call(lambda client: client.image.push_quietly("r/web:1"))
    assert docker.commands == ["image push --quiet r/web:1"]
