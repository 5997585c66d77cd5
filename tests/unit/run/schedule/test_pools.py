"""Sets of equal nodes, and what waits for them."""

from __future__ import annotations

from dataclasses import replace

from mpbake.model.plan import Builder, Driver, Node, Target
from mpbake.model.steps import BuildPiece
from mpbake.run.schedule.pools import NodeStatus, Pool, QueuedPiece, ScheduledNode

A = Node(builder="x", name="a", driver=Driver.REMOTE)
B = replace(A, name="b")
TARGET = Target(name="t", builder=Builder(name="x", driver=Driver.REMOTE, nodes=(A, B)))
PIECE = BuildPiece(target=TARGET, nodes=(A, B), spare=(B,))
OTHER = replace(PIECE, target=replace(TARGET, name="other"))


def test_what_was_given_away_and_has_come_back_waits_once() -> None:
    """What it left in the line when its preferred node took it is not taken for another piece before it."""
    hosts = {node.id: ScheduledNode(node=node, order=order, slots=1) for order, node in enumerate((A, B))}
    pool = Pool(hosts)
    pool.push(QueuedPiece(-3.0, 0, PIECE, 3.0))
    taken = pool.first_fan(hosts["x/a"])
    assert taken is not None
    pool.discard(taken.piece)
    assert (bool(pool), pool.backlog) == (False, 0.0)
    pool.push(QueuedPiece(-3.0, 0, PIECE, 3.0))
    assert (pool.first(), pool.last()) == (taken, taken)
    aside = pool.set_aside()
    assert pool.first() is None
    pool.put_back([aside])
    assert pool.first() is aside
    assert pool.backlog == 3.0


def test_a_node_has_room_when_the_first_of_its_pieces_ends() -> None:
    running = {PIECE: 30.0, OTHER: -10.0}
    host = ScheduledNode(node=A, order=0, slots=2, life=NodeStatus.UP, running=running)
    found = [host.wait(0.0, ahead, 60.0) for ahead in range(5)]
    assert found == [10, 30, 10 + 60, 30 + 60, 10 + 2 * 60], "what is late is as late again"


def test_a_set_can_be_used_as_long_as_one_of_its_nodes_can() -> None:
    a, b = (ScheduledNode(node=node, order=order, slots=1) for order, node in enumerate((A, B)))
    pool = Pool({"x/a": a, "x/b": b})
    assert (pool.usable, pool.lost, pool.preferred(PIECE)) == (True, False, a)
    a.life = NodeStatus.DOWN
    assert (pool.usable, pool.lost, pool.preferred(PIECE)) == (True, False, b)
    b.life = NodeStatus.GONE
    assert (pool.usable, pool.lost, pool.preferred(PIECE)) == (False, False, None)
    a.life = NodeStatus.GONE
    assert (pool.usable, pool.lost, pool.preferred(PIECE)) == (False, True, None)


def test_a_node_whose_room_was_taken_by_what_was_parked_on_it_is_not_free() -> None:
    """Its load is the same as before; its slots are not to be exceeded."""
    host = ScheduledNode(node=A, order=0, slots=2, life=NodeStatus.UP, running={PIECE: 1.0}, parked=[OTHER])
    pool = Pool({"x/a": host})
    assert pool.idlest() is host
    host.running[host.parked.pop()] = 1.0
    host.changed()
    assert pool.idlest() is None


def test_what_waits_on_a_node_for_a_base_is_load_of_it_too() -> None:
    a = ScheduledNode(node=A, order=0, slots=4, life=NodeStatus.UP, running={PIECE: 1.0}, parked=[OTHER])
    b = ScheduledNode(node=B, order=1, slots=4, life=NodeStatus.UP, running={PIECE: 1.0})
    assert Pool({"x/a": a, "x/b": b}).idlest() is b


def test_a_node_that_was_lost_and_has_built_nothing_since_comes_after_one_that_is_busy() -> None:
    a = ScheduledNode(node=A, order=0, slots=2, life=NodeStatus.UP, losses=1)
    b = ScheduledNode(node=B, order=1, slots=2, life=NodeStatus.UP, running={PIECE: 1.0})
    assert Pool({"x/a": a, "x/b": b}).idlest() is b


def test_the_last_that_another_node_could_emulate_is_not_hidden_by_one_that_none_can() -> None:
    pool = Pool({"x/a": ScheduledNode(node=A, order=0, slots=1)})
    pool.push(QueuedPiece(-3.0, 0, PIECE))
    pool.push(QueuedPiece(-1.0, 1, replace(OTHER, spare=())))
    last = pool.last()
    assert last is not None
    assert last.piece is PIECE
