"""The store of buildx: mpbake reads its entries without changes, and writes each entry as a whole."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import MpbakeError
from mpbake.base.platforms import parse_platforms
from mpbake.buildkit.nodes.instances import buildx_store as module
from mpbake.buildkit.nodes.instances.buildx_store import (
    BuildxStore,
    by_content,
    declared_node,
    entry_of,
    merged_entry,
    store_folder,
)
from mpbake.model.marks import MARK
from mpbake.model.node_state import ADDED_FLAG, StoredBuilder, StoredNode
from mpbake.model.plan import Builder, Driver, Node

if TYPE_CHECKING:
    from pathlib import Path


def single(name: str, endpoint: str, **more: Any) -> dict[str, Any]:
    """Return buildx's entry of a builder with one node."""
    node = {
        "Name": name,
        "Endpoint": endpoint,
        "Platforms": None,
        "DriverOpts": None,
        "Flags": [ADDED_FLAG],
        "Files": None,
    }
    return {"Name": name, "Driver": "docker-container", "Nodes": [node | more], "Dynamic": False}


def node_at(name: str, endpoint: str, *platforms: str) -> Node:
    return Node(
        builder="CI",
        name=name,
        driver=Driver.DOCKER_CONTAINER,
        endpoint=endpoint,
        platforms=parse_platforms(platforms),
    )


BUILDER = Builder(
    name="CI",
    driver=Driver.DOCKER_CONTAINER,
    nodes=(node_at("one", "ssh://a", "linux/amd64", "linux/arm/v7"), node_at("two", "ssh://b", "linux/amd64")),
)


def test_a_builder_is_put_together_from_its_nodes() -> None:
    """Both nodes keep a platform that both declare. `buildx create --append` would remove it from the first node."""
    files = {"buildkitd.toml": "eA=="}
    entry = merged_entry(BUILDER, [single("ci-one", "ssh://a"), single("ci-two", "ssh://b", Files=files)])
    assert (entry["Name"], entry["Driver"], entry["Dynamic"]) == ("ci", "docker-container", False)
    one, two = entry["Nodes"]
    assert one["Platforms"] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm", "os": "linux", "variant": "v7"},
    ]
    assert two["Platforms"] == [{"architecture": "amd64", "os": "linux"}]
    assert two["Files"] == files
    assert entry_of(entry) == StoredBuilder(
        driver="docker-container",
        nodes=(
            declared_node(BUILDER.nodes[0], "ssh://a", {}),
            declared_node(BUILDER.nodes[1], "ssh://b", {}),
        ),
    )
    assert entry_of(entry).is_ours


def test_whose_an_entry_is() -> None:
    ours, theirs = {f"env.{MARK}": "image=1"}, {"image": "x"}
    made = [single("ci-one", "ssh://a", DriverOpts=ours), single("ci-two", "ssh://b", DriverOpts=theirs)]
    assert entry_of(made[0]).is_ours, "buildx drops what it does not know when somebody changes an entry by hand"
    assert not entry_of(made[1]).is_ours
    assert not entry_of({**made[0], "Nodes": [entry["Nodes"][0] for entry in made]}).is_ours
    assert not entry_of({**made[0], "Nodes": []}).is_ours


def test_a_node_that_leaves_its_platforms_open() -> None:
    builder = replace(BUILDER, nodes=(node_at("one", "ssh://a"),))
    assert merged_entry(builder, [single("ci-one", "ssh://a")])["Nodes"][0]["Platforms"] is None


def test_what_an_entry_says() -> None:
    entry = single(
        "ci-one",
        "ssh://a",
        Platforms=[{"os": "linux", "architecture": "arm64", "variant": "v8"}],
        DriverOpts={"network": "host", "image": "i"},
        Flags=["--debug", ADDED_FLAG],
    )
    assert entry_of(entry).nodes == (
        StoredNode(
            name="ci-one",
            endpoint="ssh://a",
            platforms=("linux/arm64",),
            options=(("image", "i"), ("network", "host")),
            flags=("--debug",),
        ),
    )
    cluster = single("ci-one", "kubernetes:///ci?deployment=ci-one&kubeconfig=")
    assert entry_of(cluster).nodes[0].endpoint == "", "it is buildx's own invention"


@pytest.mark.parametrize(
    "entry", [{}, {"Driver": "x"}, {"Driver": "x", "Nodes": [1]}, {"Driver": "x", "Nodes": [{"Name": "a"}]}]
)
def test_what_is_no_entry(entry: dict[str, Any]) -> None:
    with pytest.raises(MpbakeError, match="an entry in buildx's store cannot be understood"):
        entry_of(entry)


def test_certificates_count_by_content(tmp_path: Path) -> None:
    for checkout in ("one", "two"):
        (tmp_path / checkout).mkdir()
        (tmp_path / checkout / "ca.crt").write_text("same")
    one, two = (
        by_content({"cacert": str(tmp_path / folder / "ca.crt"), "servername": "x"}) for folder in ("one", "two")
    )
    assert one == two
    (tmp_path / "two/ca.crt").write_text("other")
    assert by_content({"cacert": str(tmp_path / "two/ca.crt"), "servername": "x"}) != one
    assert by_content({"key": "/no"}) == (("key", "missing: /no"),)
    assert by_content({"key": "/dev/zero"}) == (("key", "missing: /dev/zero"),)


@pytest.mark.parametrize("content", ["", "[1]", "null", "1", "[" * 100_000])
def test_a_damaged_store_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "instances").mkdir()
    (tmp_path / "instances/ci").write_text(content)
    with pytest.raises(MpbakeError, match="instances/ci cannot be read: "):
        BuildxStore(folder=tmp_path).read("ci")


# --- files ------------------------------------------------------------------------------------------------------------


def test_what_is_put_is_there(tmp_path: Path) -> None:
    store = BuildxStore(folder=tmp_path / "buildx")
    assert store.read("CI") is None
    entry = single("ci", "ssh://a")
    store.put("CI", entry)
    assert store.read("ci") == entry
    assert sorted(path.name for path in (tmp_path / "buildx/instances").iterdir()) == ["ci"]
    (tmp_path / "buildx/activity").mkdir()
    (tmp_path / "buildx/activity/ci").write_text("now")
    assert store.remove("CI")
    assert not store.remove("CI")
    assert not (tmp_path / "buildx/activity/ci").exists()


def test_an_entry_is_never_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = BuildxStore(folder=tmp_path)
    before = single("ci", "ssh://a")
    store.put("ci", before)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MpbakeError, match="No space left on device"):
        store.put("ci", single("ci", "ssh://b"))
    assert store.read("ci") == before
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [".lock", "ci"]


def test_what_does_not_read_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "write_whole", lambda path, _, **__: path.write_text("{}"))
    with pytest.raises(MpbakeError, match="does not hold what was written"):
        BuildxStore(folder=tmp_path).put("ci", single("ci", "ssh://a"))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "instances").mkdir()
    (tmp_path / "instances/ci").write_text("{")
    with pytest.raises(MpbakeError, match="instances/ci cannot be read"):
        BuildxStore(folder=tmp_path).read("ci")


def test_the_lock_of_buildx_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOCK_SECONDS", 0.1)
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(MpbakeError, match="is locked by a buildx command that does not end"):
            BuildxStore(folder=tmp_path).put("ci", single("ci", "ssh://a"))
    BuildxStore(folder=tmp_path).put("ci", single("ci", "ssh://a"))
    assert json.loads((tmp_path / "instances/ci").read_text())["Name"] == "ci"


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"BUILDX_CONFIG": "/b", "DOCKER_CONFIG": "/d", "HOME": "/h"}, "/b"),
        ({"DOCKER_CONFIG": "/d", "HOME": "/h"}, "/d/buildx"),
        ({"HOME": "/h"}, "/h/.docker/buildx"),
    ],
)
def test_where_the_store_is(environment: dict[str, str], folder: str) -> None:
    assert str(store_folder(environment)) == folder
