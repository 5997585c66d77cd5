"""Nodes in a run, their pools, and the queues of pools."""

from __future__ import annotations

from dataclasses import replace

from mpbake.model.plan import Builder, Driver, Node, Target
from mpbake.model.steps import BuildPiece
from mpbake.run.schedule.piece_queue import PieceQueue, QueuedPiece
from mpbake.run.schedule.pools import Pool
from mpbake.run.schedule.scheduled_node import NodeStatus, ScheduledNode

A = Node(builder="x", name="a", driver=Driver.REMOTE)
B = replace(A, name="b")
TARGET = Target(name="t", builder=Builder(name="x", driver=Driver.REMOTE, nodes=(A, B)))
PIECE = BuildPiece(target=TARGET, nodes=(A, B), spare=(B,))
OTHER = replace(PIECE, target=replace(TARGET, name="other"))


def test_a_piece_that_is_queued_again_waits_once() -> None:
    """The old entry of the piece in the queue does not count as another piece."""
    queue = PieceQueue()
    queue.push(QueuedPiece(-3.0, 0, PIECE, 3.0))
    taken = queue.first_preferring(ScheduledNode(declared=A, order=0))
    assert taken is not None
    queue.discard(taken.piece)
    assert (len(queue), queue.backlog) == (0, 0.0)
    queue.push(QueuedPiece(-3.0, 0, PIECE, 3.0))
    assert (queue.first(), queue.last_with_spare_nodes()) == (taken, taken)
    aside = queue.set_aside()
    assert queue.first() is None
    queue.restore([aside])
    assert queue.first() is aside
    assert queue.backlog == 3.0


def test_the_last_piece_with_spare_nodes_is_not_hidden_by_a_piece_without() -> None:
    queue = PieceQueue()
    queue.push(QueuedPiece(-3.0, 0, PIECE))
    queue.push(QueuedPiece(-1.0, 1, replace(OTHER, spare=())))
    last = queue.last_with_spare_nodes()
    assert last is not None
    assert last.piece is PIECE


def test_a_node_has_room_when_the_first_of_its_pieces_ends() -> None:
    running = {PIECE: 30.0, OTHER: -10.0}
    node = ScheduledNode(declared=A, order=0, slots=2, status=NodeStatus.UP, running=running)
    seconds = [node.seconds_until_room(0.0, ahead, 60.0) for ahead in range(5)]
    assert seconds == [10, 30, 10 + 60, 30 + 60, 10 + 2 * 60], "a late piece takes as long again as it is late"


def test_a_pool_is_usable_while_one_of_its_nodes_is() -> None:
    a, b = (ScheduledNode(declared=node, order=order, slots=1) for order, node in enumerate((A, B)))
    pool = Pool({"x/a": a, "x/b": b})
    assert (pool.usable, pool.lost, pool.preferred(PIECE)) == (True, False, a)
    a.status = NodeStatus.LOST
    assert (pool.usable, pool.lost, pool.preferred(PIECE)) == (True, False, b)
    b.status = NodeStatus.FAILED
    assert (pool.usable, pool.lost, pool.preferred(PIECE)) == (False, False, None)
    a.status = NodeStatus.FAILED
    assert (pool.usable, pool.lost, pool.preferred(PIECE)) == (False, True, None)


def test_a_node_whose_slots_are_taken_by_parked_pieces_is_full() -> None:
    """The load of the node does not change when a parked piece starts. Its slots must not be exceeded."""
    node = ScheduledNode(declared=A, order=0, slots=2, status=NodeStatus.UP, running={PIECE: 1.0}, parked=[OTHER])
    pool = Pool({"x/a": node})
    assert pool.least_loaded() is node
    node.running[node.parked.pop()] = 1.0
    node.note_load()
    assert pool.least_loaded() is None


def test_pieces_that_wait_on_a_node_for_a_base_count_as_its_load() -> None:
    a = ScheduledNode(declared=A, order=0, slots=4, status=NodeStatus.UP, running={PIECE: 1.0}, parked=[OTHER])
    b = ScheduledNode(declared=B, order=1, slots=4, status=NodeStatus.UP, running={PIECE: 1.0})
    assert Pool({"x/a": a, "x/b": b}).least_loaded() is b


def test_a_node_that_was_lost_and_has_built_nothing_since_comes_after_a_busy_node() -> None:
    a = ScheduledNode(declared=A, order=0, slots=2, status=NodeStatus.UP, losses=1)
    b = ScheduledNode(declared=B, order=1, slots=2, status=NodeStatus.UP, running={PIECE: 1.0})
    assert Pool({"x/a": a, "x/b": b}).least_loaded() is b
