"""The diff of two plan documents: its parts, renames, and that nothing is lost."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpbake.model.grants import GrantKind
from mpbake.report.diff.diff_json import diff_json
from mpbake.report.diff.diff_text import diff_text
from mpbake.review.diff.names import NewNames
from mpbake.review.diff.placements import Spot
from mpbake.review.diff.plan_diff import ItemState, PlanDiff, diff_documents
from mpbake.review.document.plan_document import empty_document, plan_id
from tests.unit.documents import document_of, documents, grant
from tests.unit.graphs import TWO_NODES

if TYPE_CHECKING:
    from mpbake.review.diff.plan_diff import ItemDiff

PLAN = (
    """
[targets.web]
builder = "release"
context = "web"
args = { VERSION = "1", DEBUG = "0" }
platforms = ["linux/amd64", "linux/arm64"]
tags = ["r.io/web:1"]
push = true
[targets.api]
builder = "release"
context = "api"
needs = ["web"]
contexts = { base = "target:base" }
platforms = ["linux/amd64"]
tags = ["r.io/api:1"]
push = true
[targets.base]
builder = "release"
context = "base"
"""
    + TWO_NODES
)


def diff_of(before: str, after: str) -> PlanDiff:
    return diff_documents(document_of(before), document_of(after))


def parts(diff: PlanDiff) -> list[str]:
    """Return the names of the parts that have changes."""
    names = ("security", "targets", "placements", "tags", "builders", "nodes", "steps", "warnings", "order", "other")
    return [name for name in names if getattr(diff, name)]


def items(some: tuple[ItemDiff, ...]) -> list[str]:
    """Return items in short form: the state, the name, and the paths of the changes."""
    return [f"{item.state} {item.name}: {' '.join('.'.join(change.path) for change in item.changes)}" for item in some]


# --- nothing is lost --------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(documents())
def test_a_document_does_not_differ_from_a_copy(document: dict[str, Any]) -> None:
    diff = diff_documents(document, copy.deepcopy(document))
    assert not diff
    assert diff == PlanDiff(before_id=document["id"], after_id=document["id"])


@settings(max_examples=30)
@given(documents(), documents())
def test_different_documents_differ(before: dict[str, Any], after: dict[str, Any]) -> None:
    diff = diff_documents(before, after)
    assert bool(diff) is (plan_id(before) != plan_id(after))
    assert diff == diff_documents(copy.deepcopy(before), copy.deepcopy(after))
    assert diff.digest == diff_documents(before, after).digest


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of all texts and numbers."""
    if isinstance(value, (dict, list)):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, entry in entries for leaf in leaves(entry, (*path, key))]
    return [path]


FULL = document_of(
    PLAN.replace('context = "web"', 'context = "web"\nsecret = ["id=t,env=T"]\nlabels = { a = "b" }'),
    grants=[grant(GrantKind.READ, "/etc", "web.context")],
    warnings=["web: careful"],
    digests={"web/Dockerfile": "abc"},
)
KEYS = ("format", "id", "key", "kind", "value")
"""Fields that name a document, a step or a grant, or that follow from others."""


@given(st.sampled_from([leaf for leaf in leaves(FULL) if not {*KEYS} & {leaf[0], leaf[-1]}]))
def test_every_changed_leaf_appears(path: tuple[str | int, ...]) -> None:
    after = copy.deepcopy(FULL)
    *folders, last = path
    part: Any = after
    for name in folders:
        part = part[name]
    part[last] = "target:needle" if "contexts" in path else "needle"
    diff = diff_documents(FULL, after)
    assert "needle" in diff_json(diff)
    # The dependencies of steps follow from other parts; in the text only their number appears.
    assert "needle" in diff_text(diff) or "after" in path


def test_fields_of_later_versions_are_compared() -> None:
    before, after = {**empty_document(), "zebra": 1}, {**empty_document(), "zebra": 2, "expected": 5}
    diff = diff_documents(before, after)
    assert parts(diff) == ["other"]
    assert [change.path for change in diff.other] == [("zebra",)]


# --- parts ------------------------------------------------------------------------------------------------------------


def test_a_changed_attribute() -> None:
    diff = diff_of(PLAN, PLAN.replace('VERSION = "1", DEBUG = "0"', 'VERSION = "2", NEW = "x"'))
    assert parts(diff) == ["targets"]
    assert items(diff.targets) == ["changed web: args.VERSION args.NEW args.DEBUG"]


def test_a_platform_that_moves_to_another_node() -> None:
    diff = diff_of(PLAN, PLAN.replace('platforms = ["linux/arm64"], tls', 'platforms = ["linux/riscv64"], tls'))
    assert [(move.target, move.platform, move.before, move.after) for move in diff.placements] == [
        ("web", "linux/arm64", (spot("release/arm", "native"),), (spot("release/intel", "unknown"),))
    ]
    assert items(diff.nodes)[0].startswith("removed release/arm: ")
    assert diff.builders == ()


def spot(node: str, how: str) -> Spot:
    return Spot(nodes=(node,), how=how)


def test_tags() -> None:
    changed = PLAN.replace('tags = ["r.io/web:1"]', 'tags = ["r.io/web:2", "r.io/api:1"]').replace(
        'tags = ["r.io/api:1"]\npush = true\n[targets.base]', 'tags = ["r.io/api:2"]\npush = false\n[targets.base]'
    )
    diff = diff_of(PLAN, changed)
    assert [(tag.tag, tag.before, tag.after) for tag in diff.tags] == [
        ("r.io/web:2", (), ("web",)),
        ("r.io/api:1", ("api",), ("web",)),
        ("r.io/web:1", ("web",), ()),
    ]


def test_added_and_removed_targets() -> None:
    added = PLAN + '[targets.new]\nbuilder = "release"\ncontext = "other"\nargs = { A = "1" }\n'
    (item,) = diff_of(PLAN, added).targets
    assert item.state is ItemState.ADDED
    assert {change.path: change.after for change in item.changes} == {
        ("builder",): "release",
        ("args", "A"): "1",
        ("attributes", "context"): "other",
        ("dockerfile", "path"): "other/Dockerfile",
        ("stall_timeout",): 300.0,
    }
    (removed,) = diff_of(added, PLAN).targets
    assert (removed.state, removed.before, removed.after) == (ItemState.REMOVED, "new", "")
    assert {change.path: change.before for change in removed.changes} == {
        change.path: change.after for change in item.changes
    }


def test_builders_and_nodes() -> None:
    changed = PLAN.replace('driver = "remote"', 'driver = "remote"\nemulation = "forbid"').replace(
        "tcp://arm:1234", "tcp://arm64:1234"
    )
    diff = diff_of(PLAN, changed)
    assert items(diff.builders) == ["changed release: emulation"]
    assert items(diff.nodes) == ["changed release/arm: endpoint"]


def test_a_plan_that_did_not_exist() -> None:
    diff = diff_documents(None, document_of(PLAN))
    assert diff.before_id == ""
    assert {item.state for item in (*diff.targets, *diff.builders, *diff.nodes, *diff.steps)} == {ItemState.ADDED}


# --- security ---------------------------------------------------------------------------------------------------------


def rights(diff: PlanDiff) -> list[tuple[Any, ...]]:
    """Return the security changes in short form; `also` if the other plan has the right for other users."""
    return [
        ("new" if right.is_new else "gone", right.kind.value, right.value, right.users, "also" if right.known else "")
        for right in diff.security
    ]


def test_what_is_new_for_security_comes_before_what_is_gone() -> None:
    before = document_of(
        PLAN.replace('context = "api"', 'context = "api"\nsecret = ["id=t,env=T"]\nentitlements = ["network.host"]'),
        grants=[grant(GrantKind.VARIABLE, "T", "api.secret"), grant(GrantKind.READ, "../certs", "web.context")],
    )
    after = document_of(
        PLAN.replace('context = "api"', 'context = "api"\nsecret = ["id=t,env=T"]\nssh = ["default"]').replace(
            'context = "web"', 'context = "web"\nsecret = ["id=t,env=T"]\ncache-to = ["type=registry,ref=evil.io/x"]'
        ),
        grants=[grant(GrantKind.VARIABLE, "T", "web.secret", "api.secret"), grant(GrantKind.SSH, "", "api.ssh")],
    )
    assert rights(diff_documents(before, after)) == [
        ("new", "grant", "env=T", ("web.secret",), "also"),
        ("new", "grant", "ssh", ("api.ssh",), ""),
        ("new", "secret", "id=t,env=T", ("web",), "also"),
        ("new", "ssh", "default", ("api",), ""),
        ("new", "registry", "evil.io", ("cache-to",), ""),
        ("gone", "grant", "fs.read=../certs", ("web.context",), ""),
        ("gone", "entitlement", "network.host", ("api",), ""),
    ]


def test_a_right_of_one_platform_is_seen() -> None:
    before = document_of(
        PLAN.replace("[targets.api]", '[targets.web.platform."linux/arm64"]\nargs = { A = "1" }\n[targets.api]')
    )
    after = copy.deepcopy(before)
    after["targets"][0]["variants"]["linux/arm64"]["attributes"]["secret"] = ["id=arm,src=x"]
    assert rights(diff_documents(before, after)) == [("new", "secret", "id=arm,src=x", ("web",), "")]


# --- renames ----------------------------------------------------------------------------------------------------------


def test_a_renamed_target_is_one_rename() -> None:
    renamed = PLAN.replace("targets.web]", "targets.site]").replace('needs = ["web"]', 'needs = ["site"]')
    renamed = renamed.replace("r.io/web:1", "r.io/site:1")
    diff = diff_of(PLAN, renamed)
    assert items(diff.targets) == ["renamed site: tags tags"]
    assert diff.targets[0].before == "web"
    assert [step for step in items(diff.steps) if not step.startswith("changed publish site: ")] == [
        "changed verify site: tags tags"
    ]
    assert diff.placements == ()


def test_a_renamed_link_is_no_change_of_other_targets() -> None:
    diff = diff_of(PLAN, PLAN.replace("target:base", "target:common").replace("targets.base]", "targets.common]"))
    assert items(diff.targets) == ["renamed common: "]
    assert parts(diff) == ["targets"]


def test_a_renamed_builder_and_node() -> None:
    renamed = PLAN.replace("builders.release]", "builders.fleet]").replace('builder = "release"', 'builder = "fleet"')
    diff = diff_of(PLAN, renamed)
    assert items(diff.builders) == ["renamed fleet: "]
    assert items(diff.nodes) == ["renamed fleet/intel: ", "renamed fleet/arm: "]
    assert parts(diff) == ["builders", "nodes"]
    diff = diff_of(PLAN, PLAN.replace("nodes.arm", "nodes.laptop"))
    assert [(node.before, node.after) for node in diff.nodes] == [("release/arm", "release/laptop")]
    assert parts(diff) == ["nodes"]


def test_grants_follow_a_rename() -> None:
    before = document_of(PLAN, grants=[grant(GrantKind.READ, "/etc", "web.context", "builder release")])
    renamed = PLAN.replace("targets.web]", "targets.site]").replace('needs = ["web"]', 'needs = ["site"]')
    renamed = renamed.replace("builders.release]", "builders.fleet]").replace(
        'builder = "release"', 'builder = "fleet"'
    )
    after = document_of(renamed, grants=[grant(GrantKind.READ, "/etc", "site.context", "builder fleet")])
    diff = diff_documents(before, after)
    assert parts(diff) == ["targets", "builders", "nodes"]


def test_targets_that_share_only_common_values_are_no_rename() -> None:
    other = PLAN.replace("[targets.base]", "[targets.tool]").replace('context = "base"', 'context = "tools/x"')
    other = other.replace('contexts = { base = "target:base" }\n', "")
    diff = diff_of(PLAN.replace('contexts = { base = "target:base" }\n', ""), other)
    assert [item.state for item in diff.targets] == [ItemState.ADDED, ItemState.REMOVED]


def test_of_several_candidates_the_most_similar_is_the_rename() -> None:
    before = '[targets.a]\nargs = { X = "1", Y = "2" }\ncontext = "c"\ndockerfile = "d"\n'
    after = before.replace(".a]", ".b]").replace('"2"', '"3"') + before.replace(".a]", ".z]")
    (first, second) = diff_of(before, after).targets
    assert (first.state, first.after) == (ItemState.ADDED, "b")
    assert (second.state, second.before, second.after) == (ItemState.RENAMED, "a", "z")


@pytest.mark.parametrize("number", [1, 2000])
def test_many_renames_are_found_in_order(number: int) -> None:
    def plan(name: str) -> dict[str, Any]:
        document = empty_document()
        target = json.loads(json.dumps(FULL["targets"][0]))
        return {**document, "targets": [{**target, "name": f"{name}{index}"} for index in range(number)]}

    diff = diff_documents(plan("old"), plan("new"))
    assert [(item.before, item.after) for item in diff.targets] == [
        (f"old{index}", f"new{index}") for index in range(number)
    ]


def test_reasons_follow_a_rename() -> None:
    plan = """
        [defaults.target]
        builder = "x"
        platforms = ["linux/amd64"]
        [targets.web]
        contexts = { base = "target:base" }
        [targets.base]
        [builders.x]
        driver = "remote"
        nodes.a = { endpoint = "unix:///a", platforms = ["linux/amd64"] }
        nodes.b = { endpoint = "unix:///b", platforms = ["linux/amd64"] }
        """
    names = NewNames(targets={"base": "root"}, builders={}, nodes={"x/a": "x/c", "x/b": "x/d"})
    steps = {step["target"]: step for step in names.in_document(document_of(plan))["steps"] if step["kind"] == "build"}
    (placed,) = steps["web"]["platforms"]
    assert placed["why"].removeprefix(steps["web"]["nodes"][0]) == (
        ' declares it; preferred for the cache of "root", which it links to'
    )
