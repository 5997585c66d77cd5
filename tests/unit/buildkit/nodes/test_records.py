"""The records of the nodes that mpbake has made from this machine."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mpbake.buildkit.nodes.records import MadeNode, Record, Records, record_of, records_folder
from mpbake.model.plan import Builder, Driver, Node, TlsFiles

if TYPE_CHECKING:
    from collections.abc import Callable

ONE = Node(builder="ci", name="one", driver=Driver.DOCKER_CONTAINER, endpoint="ssh://a")
TWO = Node(
    builder="ci", name="two", driver=Driver.DOCKER_CONTAINER, endpoint="tcp://b:2376", tls=TlsFiles(ca=Path("/ca.crt"))
)
BUILDER = Builder(name="ci", driver=Driver.DOCKER_CONTAINER, nodes=(ONE, TWO))
PLAN = Path("/plan/build.toml")


def test_a_record_of_a_builder() -> None:
    record = record_of(BUILDER, PLAN, None)
    assert record == Record(
        builder="ci",
        plan="/plan/build.toml",
        nodes=(
            MadeNode(name="one", driver="docker-container", engine="ssh://a"),
            MadeNode(name="two", driver="docker-container", engine="mpbake-ci-two", context="mpbake-ci-two"),
        ),
    )
    assert record.undeclared(BUILDER) == ()
    assert record.undeclared(None) == record.nodes
    assert record.nodes[1].node("ci") == Node(
        builder="ci", name="two", driver=Driver.DOCKER_CONTAINER, endpoint="mpbake-ci-two"
    )


def test_what_is_no_longer_declared_stays_in_the_record() -> None:
    before = record_of(BUILDER, PLAN, None)
    moved = replace(BUILDER, nodes=(replace(ONE, endpoint="ssh://c"),))
    record = record_of(moved, PLAN, before)
    assert [made.engine for made in record.nodes] == ["ssh://a", "mpbake-ci-two", "ssh://c"]
    assert [made.engine for made in record.undeclared(moved)] == ["ssh://a", "mpbake-ci-two"]


def test_records_are_kept(tmp_path: Path) -> None:
    records = Records(folder=tmp_path / "state")
    record = record_of(BUILDER, PLAN, None)
    assert records.of_plan(PLAN) == []
    records.write(record)
    other = replace(record, builder="Other", plan="/elsewhere/build.toml")
    records.write(other)
    assert records.read("CI", PLAN) == record
    assert records.of_plan(PLAN) == [record]
    records.remove("ci", PLAN)
    records.remove("ci", PLAN)
    assert records.read("ci", PLAN) is None
    assert records.read("other", Path("/elsewhere/build.toml")) == other


def test_nodes_are_added_one_by_one(tmp_path: Path) -> None:
    records = Records(folder=tmp_path / "state")
    for node in (TWO, ONE, TWO):
        records.add("ci", [node], PLAN)
    both = record_of(BUILDER, PLAN, None).nodes
    assert records.read("ci", PLAN) == Record(builder="ci", plan=str(PLAN), nodes=(both[1], both[0]))
    records.drop("ci", PLAN, [both[1]])
    records.drop("other", PLAN, both)
    assert records.read("ci", PLAN) == Record(builder="ci", plan=str(PLAN), nodes=(both[0],))
    assert records.of_plan(PLAN) == [records.read("ci", PLAN)]


def test_builders_of_one_name_in_several_plans_do_not_share_a_record(tmp_path: Path) -> None:
    records = Records(folder=tmp_path / "state")
    plans = [tmp_path / name for name in ("a.toml", "b.toml")]
    for plan, node in zip(plans, (ONE, TWO), strict=True):
        plan.touch()
        records.add("ci", [node], plan)
    assert [record.nodes for plan in plans for record in records.of_plan(plan)] == [
        record_of(replace(BUILDER, nodes=(node,)), PLAN, None).nodes for node in (ONE, TWO)
    ]
    assert [record.plan for record in records.of_others("CI", plans[0])] == [str(plans[1])]
    assert records.of_others("other", plans[0]) == []
    plans[1].unlink()
    assert records.of_others("ci", plans[0]) == []


def test_a_plan_that_was_moved_takes_its_record_along(tmp_path: Path) -> None:
    records = Records(folder=tmp_path / "state")
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.touch()
    records.add("ci", [ONE, TWO], old)
    records.add("ci", [ONE], new)
    assert records.of_plan(old) == [record_of(BUILDER, old, None)], "it was copied, not moved"
    old.unlink()
    records.add("other", [ONE], new)
    records.add("ci", [replace(ONE, name="three")], tmp_path / "another.toml")
    assert len(records.of_plan(old)) == 1, "nothing shows that it went there"
    records.add("ci", [ONE], new)
    assert records.read("ci", new) == record_of(BUILDER, new, None)
    assert records.of_plan(old) == []


def test_a_node_in_two_clusters_is_noted_twice(tmp_path: Path) -> None:
    """A record without a cluster is of an earlier mpbake, and is completed."""
    node = replace(ONE, driver=Driver.KUBERNETES, endpoint="")
    builder = replace(BUILDER, nodes=(node,))
    for cluster in ("", "https://a:6443", "https://b:6443", "https://b:6443"):
        Records(folder=tmp_path, cluster_of={node: cluster}.__getitem__).add("ci", [node], PLAN)
    record = Records(folder=tmp_path).read("ci", PLAN)
    assert record is not None
    assert [made.cluster for made in record.nodes] == ["https://a:6443", "https://b:6443"]
    assert record.undeclared(builder) == ()
    assert record.undeclared(None) == record.nodes
    assert record_of(builder, PLAN, record) == record, "the declared node is one of them"


def test_what_is_every_plans_is_not_noted(tmp_path: Path) -> None:
    records = Records(folder=tmp_path / "state")
    shared = Node(builder="default", name="local", driver=Driver.DOCKER_CONTAINER)
    assert records.add("default", [shared], PLAN) == ()
    assert not (tmp_path / "state").exists()
    records.add("default", [shared, replace(shared, name="far")], PLAN)
    (record,) = records.of_plan(PLAN)
    assert [made.name for made in record.nodes] == ["far"]


def test_what_cannot_be_noted_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder is to be")
    (warning,) = Records(folder=tmp_path / "state/mpbake").add("ci", [ONE], PLAN)
    assert warning == (
        f"mpbake cannot record the nodes of ci, so prune will not find them ({tmp_path}/state/mpbake: Not a directory)"
    )


def test_nodes_that_are_added_at_once_are_all_there(tmp_path: Path) -> None:
    nodes = [replace(ONE, name=f"n{number}") for number in range(20)]
    with ThreadPoolExecutor(max_workers=20) as workers:
        list(workers.map(lambda node: Records(folder=tmp_path).add("ci", [node], PLAN), nodes))
    record = Records(folder=tmp_path).read("ci", PLAN)
    assert record is not None
    assert {made.name for made in record.nodes} == {node.name for node in nodes}


NODE_FIELDS = {
    "name": "one",
    "driver": "docker-container",
    "engine": "ssh://a",
    "context": "",
    "place": {},
    "cluster": "",
}
RECORD_FIELDS = {"format": 1, "builder": "ci", "plan": str(PLAN), "nodes": [NODE_FIELDS]}


def damaged_by(**fields: object) -> str:
    """Return the JSON of a record with other values in some fields."""
    return json.dumps({**RECORD_FIELDS, **fields})


def damaged_node(**fields: object) -> str:
    """Return the JSON of a record with other values in some fields of its node."""
    return damaged_by(nodes=[{**NODE_FIELDS, **fields}])


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        "\xff",
        '{"format": 1, "builder": "x"}',
        damaged_by(format="1"),
        damaged_by(format=0),
        damaged_by(builder=None),
        damaged_by(builder="other"),
        damaged_by(plan=["a"]),
        damaged_by(nodes=None),
        damaged_by(nodes={"a": 1}),
        damaged_by(nodes=["one"]),
        damaged_by(nodes=[[]]),
        damaged_node(name=5),
        damaged_node(name=["one"]),
        damaged_node(driver="nonsense"),
        damaged_node(driver=None),
        damaged_node(engine=None),
        damaged_node(context={}),
        damaged_node(place=["namespace"]),
        damaged_node(place={"namespace": 1}),
        damaged_node(more=1),
    ],
)
def test_a_damaged_record_counts_as_none(tmp_path: Path, damage: str) -> None:
    records = Records(folder=tmp_path)
    records.add("ci", [ONE], PLAN)
    (path,) = tmp_path.glob("*.json")
    path.write_text(damage, encoding="latin-1")
    records.add("fine", [TWO], PLAN)
    assert records.read("ci", PLAN) is None
    assert [record.builder for record in records.of_plan(PLAN)] == ["fine"]
    (unreadable,) = records.unreadable()
    assert str(unreadable) == (
        f"{path} is damaged: mpbake does not know which nodes it records\n"
        "  = remove the file, and look for containers that it may record: "
        "docker ps --all --filter name=buildx_buildkit_"
    )
    records.drop("ci", PLAN, record_of(BUILDER, PLAN, None).nodes)
    records.remove("ci", PLAN)
    assert path.exists()
    assert records.add("ci", [ONE], PLAN) == (str(unreadable),)
    assert path.read_text(encoding="latin-1") == damage


def test_a_record_as_mpbake_writes_it_is_not_damaged(tmp_path: Path) -> None:
    records = Records(folder=tmp_path)
    records.add("ci", [ONE], PLAN)
    (path,) = tmp_path.glob("*.json")
    assert json.loads(path.read_text()) == RECORD_FIELDS


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_no_record(tmp_path: Path, make: Callable[[Path], None]) -> None:
    records = Records(folder=tmp_path)
    records.add("ci", [ONE], PLAN)
    (path,) = tmp_path.glob("*.json")
    path.unlink()
    make(path)
    assert [file.path for file in records.unreadable()] == [path]
    records.remove("ci", PLAN)
    assert path.exists()


def test_a_record_of_a_newer_mpbake(tmp_path: Path) -> None:
    (tmp_path / "ci.json").write_text('{"format": 2, "nodes": {}}')
    (unreadable,) = Records(folder=tmp_path).unreadable()
    assert str(unreadable) == (
        f"{tmp_path}/ci.json was written by a newer mpbake: mpbake does not know which nodes it records\n"
        "  = use that version of mpbake"
    )


def test_a_record_of_a_newer_mpbake_is_not_overwritten(tmp_path: Path) -> None:
    records = Records(folder=tmp_path)
    records.add("ci", [ONE], PLAN)
    (path,) = tmp_path.glob("*.json")
    path.write_text('{"format": 2, "nodes": {}}')
    (warning,) = records.add("ci", [TWO], PLAN)
    assert warning.startswith(f"{path} was written by a newer mpbake: ")
    assert path.read_text() == '{"format": 2, "nodes": {}}'


def test_where_records_are() -> None:
    assert records_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/mpbake/builders")
    assert records_folder({"HOME": "/h"}) == Path("/h/.local/state/mpbake/builders")


def test_the_name_of_an_adopted_node_in_buildx_is_recorded(tmp_path: Path) -> None:
    records = Records(folder=tmp_path)
    records.add("ci", [replace(ONE, stated_buildx_name="ci0")], PLAN)
    record = records.read("ci", PLAN)
    assert record is not None
    assert [made.node("ci").buildx_name for made in record.nodes] == ["ci0"]
