"""Sets of equal nodes, and what waits for them."""

from __future__ import annotations

from dataclasses import replace

from mpbake.plan import Builder, Driver, Node, Target
from mpbake.schedule.pools import Host, Pool, Waiting
from mpbake.steps import BuildPiece

A = Node(builder="x", name="a", driver=Driver.REMOTE)
B = replace(A, name="b")
TARGET = Target(name="t", builder=Builder(name="x", driver=Driver.REMOTE, nodes=(A, B)))
PIECE = BuildPiece(target=TARGET, nodes=(A, B), spare=(B,))


def test_what_was_given_away_and_has_come_back_waits_once() -> None:
    """What it left in the line when its preferred node took it is not taken for another piece before it."""
    hosts = {node.id: Host(node=node, order=order, slots=1) for order, node in enumerate((A, B))}
    pool = Pool(hosts)
    pool.push(Waiting(-3.0, 0, PIECE, 3.0))
    taken = pool.first_fan(hosts["x/a"])
    assert taken is not None
    pool.discard(taken.piece)
    assert (bool(pool), pool.backlog) == (False, 0.0)
    pool.push(Waiting(-3.0, 0, PIECE, 3.0))
    assert (pool.first(), pool.last()) == (taken, taken)
    aside = pool.set_aside()
    assert pool.first() is None
    pool.put_back([aside])
    assert pool.first() is aside
    assert pool.backlog == 3.0
