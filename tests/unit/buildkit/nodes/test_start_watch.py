"""Starts of nodes that will not become ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mpbake.buildkit.nodes.drivers.back_end import Blockage
from mpbake.buildkit.nodes.start_watch import StartWatch
from mpbake.model.plan import Driver, Node

if TYPE_CHECKING:
    from mpbake.buildkit.nodes.drivers.back_end import ResourceManager

NODE = Node(builder="k", name="n", driver=Driver.KUBERNETES)


class Clock:
    """A clock and a resource, both set by hand."""

    def __init__(self) -> None:
        self.time = 0.0
        self.blocked: Blockage | None = None

    def blockage(self, node: Node) -> Blockage | None:
        assert node is NODE
        return self.blocked


def watched() -> tuple[Clock, StartWatch]:
    clock = Clock()
    return clock, StartWatch(manager=cast("ResourceManager", clock), node=NODE, clock=lambda: clock.time)


def test_a_start_without_a_blockage_continues() -> None:
    _, watch = watched()
    assert watch.watch.alive()
    assert watch.error is None


def test_a_blockage_ends_the_start_after_its_patience() -> None:
    clock, watch = watched()
    clock.blocked = Blockage(reason="its pods do not start: ImagePullBackOff", patience=20.0)
    assert watch.may_continue()
    clock.time = 19.0
    assert watch.may_continue()
    assert watch.error is None
    clock.time = 20.0
    assert not watch.may_continue()
    assert str(watch.error) == (
        "node k/n (kubernetes, the cluster in use) cannot be used: its pods do not start: ImagePullBackOff\n"
        '  = set image = "…" in the builder to a BuildKit image that the cluster can pull'
    )


def test_a_blockage_without_patience_ends_the_start_at_once() -> None:
    clock, watch = watched()
    clock.blocked = Blockage(reason="its Deployment is scaled to 0")
    assert not watch.may_continue()
    assert watch.error is not None


def test_a_blockage_that_goes_away_is_forgotten() -> None:
    clock, watch = watched()
    clock.blocked = Blockage(reason="its pods do not start: ErrImagePull", patience=20.0)
    assert watch.may_continue()
    clock.blocked, clock.time = None, 19.0
    assert watch.may_continue()
    clock.blocked, clock.time = Blockage(reason="its pods do not start: ErrImagePull", patience=20.0), 30.0
    assert watch.may_continue()
    assert watch.error is None
