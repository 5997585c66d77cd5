"""Removal of builders, and pruning of nodes that are no longer declared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mpbake.buildkit.builders.apply import reconcile
from mpbake.buildkit.builders.removal import prune, remove
from mpbake.buildkit.nodes.instances.declaration import declare
from mpbake.buildkit.nodes.records import record_of
from mpbake.model.plan import Builder, Driver, Node
from tests.unit.dockers import done
from tests.unit.plans import text
from tests.unit.tls import serving
from tests.unit.workspaces import (
    CI,
    LOCAL,
    NO_CONTEXT,
    OUT_OF_REACH,
    Contexts,
    Engine,
    brought_up,
    secured,
    two_plans,
    workspace_with,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.tls import Certificates


@pytest.mark.parametrize("keep", [True, False])
def test_remove(tmp_path: Path, *, keep: bool) -> None:
    engine = Engine()
    brought_up(tmp_path, engine)
    workspace, messages = workspace_with(tmp_path, engine)
    assert remove(workspace, CI, keep_state=keep) == []
    assert messages == [
        f"ci/local: container removed, {'its cache stays' if keep else 'and its cache'}",
        "ci: removed from buildx's store",
    ]
    volumes = [command for command in engine.commands if command.startswith("volume remove")]
    assert volumes == ([] if keep else ["volume remove buildx_buildkit_ci-local_state"])
    assert not (tmp_path / ".docker/buildx/instances/ci").exists()
    assert (workspace.services.records.read("ci", workspace.plan) is not None) == keep
    messages.clear()
    assert remove(workspace, CI, keep_state=keep) == []
    assert messages == [], "there is nothing more to remove"


GONE = "ci/local: its container was gone; its cache is removed"


@pytest.mark.parametrize("made", ["here", "elsewhere"])
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("by_hand", [True, False])
def test_a_cache_that_was_kept_can_be_removed_later(
    tmp_path: Path, made: str, *, declared: bool, by_hand: bool
) -> None:
    engine = Engine() if made == "here" else Engine(mark=declare(LOCAL).mark)
    if made == "here":
        brought_up(tmp_path, engine)
        engine.made = "" if by_hand else engine.made
    workspace, messages = workspace_with(tmp_path, engine)
    assert remove(workspace, CI, keep_state=True) == []
    messages.clear()
    if declared:
        assert remove(workspace, CI, keep_state=False) == []
    else:
        (record,) = workspace.services.records.of_plan(workspace.plan)
        assert prune(workspace, record, {}) == []
    assert messages == [GONE]
    assert workspace.services.records.of_plan(workspace.plan) == []


def test_the_docker_context_that_leads_to_a_kept_cache_stays(tmp_path: Path, certificates: Certificates) -> None:
    engine = Contexts(context=done())
    with serving(certificates.engine()) as port:
        far = replace(CI, nodes=(secured(port, certificates),))
        assert not brought_up(tmp_path, engine, far)[2]
    workspace, messages = workspace_with(tmp_path, engine)
    assert remove(workspace, far, keep_state=True) == []
    assert engine.kept
    messages.clear()
    assert remove(workspace, far, keep_state=False) == []
    assert messages == [GONE, "ci/local: docker context mpbake-ci-local removed"]
    assert not engine.kept


def test_the_cache_of_a_container_that_is_gone_is_removed_if_it_was_made_from_here(tmp_path: Path) -> None:
    for declared in (True, False):
        engine = Engine()
        brought_up(tmp_path, engine)
        engine.made = ""
        workspace, messages = workspace_with(tmp_path, engine)
        if declared:
            assert remove(workspace, CI, keep_state=False) == []
        else:
            assert prune(workspace, record_of(CI, workspace.plan, None), {}) == []
        assert messages == [GONE, "ci: removed from buildx's store"]
        assert workspace.services.records.read("ci", workspace.plan) is None
        messages.clear()
        assert remove(workspace, CI, keep_state=False) == []
        assert messages == []


FOREIGN_STAYS = (
    "ci/local: the volume buildx_buildkit_ci-local_state stays: mpbake did not make it; to remove it: "
    "docker volume rm buildx_buildkit_ci-local_state"
)


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize("declared", [True, False])
def test_a_volume_that_somebody_else_made_stays(tmp_path: Path, *, gone: bool, declared: bool) -> None:
    engine = Engine()
    brought_up(tmp_path, engine)
    engine.volume = {}
    engine.made = "" if gone else engine.made
    workspace, messages = workspace_with(tmp_path, engine)
    if declared:
        assert remove(workspace, CI, keep_state=False) == []
    else:
        assert prune(workspace, record_of(CI, workspace.plan, None), {}) == []
    removed = [] if gone else ["ci/local: container removed, its cache stays"]
    assert messages == [*removed, FOREIGN_STAYS, "ci: removed from buildx's store"]
    assert engine.volume is not None
    assert workspace.services.records.of_plan(workspace.plan) == [], "nothing of mpbake's is left"


def test_a_cache_stays_that_is_to_be_kept_or_may_be_anothers(tmp_path: Path) -> None:
    engine = Engine()
    workspace, messages = workspace_with(tmp_path, engine)
    assert remove(workspace, CI, keep_state=False) == [], "nothing was made from here"
    for keep in (True, False):
        workspace.services.records.add("ci", CI.nodes, workspace.plan)
        if keep:
            assert remove(workspace, CI, keep_state=True) == []
        else:
            respelled = replace(CI, nodes=(replace(LOCAL, endpoint="ssh://far:22"),))
            assert prune(workspace, record_of(CI, workspace.plan, None), {"ci": respelled}) == []
    assert not [command for command in engine.commands if command.startswith("volume remove")]
    assert GONE not in messages


FIREWALL = "check that the machine is up, and its firewall; try: ssh far true"
FORGOTTEN = (
    "ci/local: does not answer, and is forgotten; ssh://far may still have: "
    "container buildx_buildkit_ci-local, volume buildx_buildkit_ci-local_state"
)


@pytest.mark.parametrize("declared", [True, False])
def test_what_is_out_of_reach_holds_up_nothing_else_and_can_be_forgotten(tmp_path: Path, *, declared: bool) -> None:
    engine = Engine()
    brought_up(tmp_path, engine)
    engine.unreachable = True
    workspace, messages = workspace_with(tmp_path, engine)
    record = workspace.services.records.read("ci", workspace.plan)
    assert record is not None

    def taken_away(*, forget: bool = False) -> list[str]:
        if declared:
            return [str(error) for error in remove(workspace, CI, keep_state=False, forget=forget)]
        return [str(error) for error in prune(workspace, record, {}, forget=forget)]

    command = "rm --forget ci" if declared else "prune --forget"
    error = f"{OUT_OF_REACH}\n  = {FIREWALL}; if it is gone for good, run: mpbake builders {command}"
    assert taken_away() == [error]
    assert messages == ["ci: removed from buildx's store"]
    assert workspace.services.records.read("ci", workspace.plan) == record
    assert taken_away() == [error]
    assert taken_away(forget=True) == []
    assert messages[1:] == [FORGOTTEN]
    assert workspace.services.records.read("ci", workspace.plan) is None


def test_the_docker_context_of_what_is_noted_stays_as_long_as_it_is_out_of_reach(
    tmp_path: Path, certificates: Certificates
) -> None:
    engine = Contexts(context=done())
    with serving(certificates.engine()) as port:
        far = replace(CI, nodes=(secured(port, certificates),))
        assert not brought_up(tmp_path, engine, far)[2]
    workspace, messages = workspace_with(tmp_path, engine)
    engine.unreachable = True
    assert len(remove(workspace, far, keep_state=False)) == 1
    assert engine.kept
    engine.kept = False
    assert [str(error) for error in remove(workspace, far, keep_state=False)] == [
        text("""
            ci/local: its container and volume cannot be removed: unknown docker context mpbake-ci-local
              = if it is gone for good, run: mpbake builders rm --forget ci
            """)
    ]
    engine.kept = True
    assert remove(workspace, far, keep_state=False, forget=True) == []
    assert "ci/local: docker context mpbake-ci-local removed" in messages
    assert workspace.services.records.of_plan(workspace.plan) == []


def test_prune(tmp_path: Path) -> None:
    engine = Engine()
    brought_up(tmp_path, engine)
    workspace, messages = workspace_with(tmp_path, engine)
    moved = replace(CI, nodes=(replace(LOCAL, name="other"),))
    record = record_of(CI, workspace.plan, None)
    assert prune(workspace, record, {"ci": moved}) == []
    assert messages[0] == "ci/local: container removed, and its cache"
    assert messages[1] == "ci: in buildx's store, for docker buildx build --builder ci"
    left = workspace.services.records.read("ci", workspace.plan)
    assert left is not None
    assert left.nodes == ()
    assert prune(workspace, record, {}) == []
    assert messages[-1] == "ci: removed from buildx's store"
    assert workspace.services.records.read("ci", workspace.plan) is None


@pytest.mark.parametrize(
    "declared",
    [
        replace(CI, nodes=(replace(LOCAL, endpoint="ssh://far:22"),)),
        replace(CI, nodes=(replace(LOCAL, name="Local"),)),
        Builder(name="CI", driver=CI.driver, nodes=(replace(LOCAL, builder="CI"),)),
    ],
)
def test_what_is_still_declared_in_other_words_is_not_pruned(tmp_path: Path, declared: Builder) -> None:
    engine = Engine()
    brought_up(tmp_path, engine)
    brought_up(tmp_path, engine, declared)
    workspace, messages = workspace_with(tmp_path, engine)
    record = record_of(declared, workspace.plan, record_of(CI, workspace.plan, None))
    assert prune(workspace, record, {declared.name: declared}) == []
    assert not [command for command in engine.commands if command.startswith(("container rm", "volume remove"))]
    assert (tmp_path / ".docker/buildx/instances/ci").exists()
    left = workspace.services.records.read("ci", workspace.plan)
    assert left is not None
    assert left.undeclared(declared) == ()
    assert not [message for message in messages if "removed" in message]


def test_a_node_that_went_to_another_engine_is_pruned_where_it_was(tmp_path: Path) -> None:
    engine = Engine()
    brought_up(tmp_path, engine)
    engine.other = "ssh://new"
    workspace, messages = workspace_with(tmp_path, engine)
    moved = replace(CI, nodes=(replace(LOCAL, endpoint="ssh://new"),))
    assert prune(workspace, record_of(CI, workspace.plan, None), {"ci": moved}) == []
    assert messages[0] == "ci/local: container removed, and its cache"
    assert "container rm --force c0ffee" in engine.commands


def test_the_docker_context_of_what_is_still_declared_is_not_pruned(tmp_path: Path, certificates: Certificates) -> None:
    engine = Engine(mark=declare(LOCAL).mark, **NO_CONTEXT)
    workspace, messages = workspace_with(tmp_path, engine)
    with serving(certificates.engine()) as port:
        node = secured(port, certificates)
        renamed = replace(CI, nodes=(replace(node, name="Local"),))
        before = record_of(replace(CI, nodes=(node,)), workspace.plan, None)
        assert [made.context for made in before.undeclared(renamed)] == ["mpbake-ci-local"]
        assert prune(workspace, before, {"ci": renamed}) == []
    assert not [command for command in engine.commands if command.startswith("context remove")]
    assert messages[0] == "ci/local: its container stays, since ci/Local uses it"


ARM = replace(LOCAL, name="arm", endpoint="ssh://arm")


def test_what_another_plan_has_made_of_a_builder_of_the_same_name_stays(tmp_path: Path) -> None:
    engine = Engine(mark=declare(LOCAL).mark)
    one, other, messages = two_plans(tmp_path, engine)
    one.services.records.add("ci", [LOCAL, ARM], one.plan)
    reconcile(other, CI, lambda _: None)
    messages.clear()
    (record,) = other.services.records.of_plan(other.plan)
    assert record.undeclared(CI) == ()
    assert remove(other, CI, keep_state=False) == []
    assert messages == ["ci/local: container removed, and its cache", "ci: removed from buildx's store"]
    (record,) = one.services.records.of_plan(one.plan)
    assert [made.name for made in record.undeclared(CI)] == ["arm"]


@pytest.mark.parametrize(("declared", "gone"), [({"ci": CI}, {"arm"}), ({}, {"arm", "local"})])
def test_what_another_checkout_has_made_too_is_not_pruned(
    tmp_path: Path, declared: dict[str, Builder], gone: set[str]
) -> None:
    engine = Engine(mark=declare(LOCAL).mark)
    one, other, messages = two_plans(tmp_path, engine)
    reconcile(other, CI, lambda _: None)
    for workspace in (one, other):
        workspace.services.records.add("ci", [LOCAL, ARM], workspace.plan)
    messages.clear()
    (record,) = other.services.records.of_plan(other.plan)
    assert prune(other, record, declared) == []
    assert set(messages) == {f"ci/{name}: stays, since it was made for {one.plan} too" for name in gone}
    assert not [command for command in engine.commands if command.startswith(("container rm", "volume remove"))]
    assert (tmp_path / ".docker/buildx/instances/ci").exists()
    left = other.services.records.read("ci", other.plan)
    assert (left.undeclared(CI) if left else ()) == (), "it is the other's by now"
    (record,) = one.services.records.of_plan(one.plan)
    assert prune(one, record, {"ci": CI}) == []
    assert "ci/arm: container removed, and its cache" in messages


def test_removing_a_builder_spares_nodes_that_only_another_checkout_declares(tmp_path: Path) -> None:
    engine = Engine(mark=declare(LOCAL).mark)
    one, other, messages = two_plans(tmp_path, engine)
    for workspace in (one, other):
        workspace.services.records.add("ci", [LOCAL, ARM], workspace.plan)
    assert remove(other, CI, keep_state=False) == []
    assert messages == [
        f"ci/arm: stays, since it was made for {one.plan} too",
        "ci/local: container removed, and its cache",
    ]
    assert other.services.records.of_plan(other.plan) == []


SHARED = Node(builder="default", name="local", driver=Driver.DOCKER_CONTAINER)


def test_the_container_of_the_default_builder_is_every_plans(tmp_path: Path) -> None:
    """This holds both if the plan declares the builder, and if it declares the builder as external."""
    engine = Engine(mark=declare(SHARED).mark)
    workspace, messages = workspace_with(tmp_path, engine)
    default = Builder(name="default", driver=Driver.DOCKER_CONTAINER, nodes=(SHARED, replace(SHARED, name="far")))
    before = record_of(default, workspace.plan, None)
    stays = (
        "default/local: its container stays, since all plans without a builder share it; "
        "to remove it: docker rm --force buildx_buildkit_default-local"
    )
    one = replace(default, nodes=(SHARED,))
    assert remove(workspace, one, keep_state=False) == []
    assert prune(workspace, replace(before, nodes=before.nodes[:1]), {}) == []
    assert messages == [stays, stays]
    assert not [command for command in engine.commands if command.startswith(("container rm", "volume remove"))]
    assert remove(workspace, default, keep_state=False) == []
    assert "default/far: container removed, and its cache" in messages, "others of such a builder are the plan's own"
