"""Checks of the clocks of machines, and of their disks. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.text import count, duration, one_line
from mpbake.graph.doctor.facts import Clock, Purpose, Unanswered
from mpbake.graph.doctor.findings import missing, not_needed, ok, unknown, warning
from mpbake.model.node_resources import has_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.graph.doctor.facts import Answer, Engine, Facts, Place, Space
    from mpbake.graph.doctor.findings import Finding

CLOCK_TOLERANCE = 60.0
"""Seconds by which clocks may differ. Token servers and registries tolerate about as much."""
LEAST_FILES = 1000
"""The number of new files below which a file system counts as full."""
_MB, _GB = 1_000_000, 1_000_000_000
LEAST_SPACE = {Purpose.ENGINE: _GB, Purpose.STATE: 100 * _MB, Purpose.RECORDS: 100 * _MB, Purpose.TEMPORARY: 100 * _MB}
"""Bytes below which a run fails, or soon fails."""
ENOUGH_SPACE = {Purpose.ENGINE: 5 * _GB, Purpose.STATE: _GB, Purpose.RECORDS: _GB, Purpose.TEMPORARY: _GB}
"""Bytes below which mpbake warns."""


# --- clocks -----------------------------------------------------------------------------------------------------------


def check_clocks(facts: Facts) -> Iterator[Finding]:
    """Check that the clocks of engines and registries agree with the clock of this machine."""
    clocks = _clocks(facts)
    agreeing = []
    for name, clock in clocks.items():
        if isinstance(clock, Unanswered):
            yield unknown(f"{name}: {clock.reason}", clock.remedy, subject=name)
        elif abs(clock.ahead) <= CLOCK_TOLERANCE:
            agreeing.append(name)
        else:
            side = "ahead of" if clock.ahead > 0 else "behind"
            message = f"{name}: its clock is {duration(abs(clock.ahead))} {side} the clock of this machine"
            yield warning(message, "set both clocks, for example with NTP", subject=name)
    if agreeing:
        yield ok(f"clocks differ by less than {CLOCK_TOLERANCE:.0f} s: {', '.join(agreeing)}")
    silent = [node.id for node in facts.subject.nodes if not has_engine(node)]
    if silent:
        yield unknown(f"{', '.join(silent)}: BuildKit does not report its time", "compare `date` on both machines")
    elif not clocks:
        yield not_needed("clocks: there is no other machine to compare with")


def _clocks(facts: Facts) -> dict[str, Answer[Clock]]:
    """Return the clocks of engines that answer, and of registries that answer, by address."""
    engines = [facts.engine] if facts.uses_engine() else []
    engines += facts.engines.values()
    clocks = {one_line(engine.address): engine.clock for engine in engines if not isinstance(engine, Unanswered)}
    answers = {name: clock for name, clock in facts.registry_clocks.items() if isinstance(clock, Clock)}
    return clocks | answers


# --- disks ------------------------------------------------------------------------------------------------------------


def check_disks(facts: Facts) -> Iterator[Finding]:
    """Check that the disks of this machine have room, and list the disks that mpbake cannot inspect."""
    for place, answer in facts.spaces.items():
        if isinstance(answer, Unanswered):
            message = f"{one_line(str(place.path))}: {answer.reason}"
            yield unknown(message, answer.remedy, subject=str(place.path))
        else:
            yield _space_finding(place, answer)
    for engine in _far_engines(facts):
        message = f"{one_line(engine.address)}: an engine does not report its free disk space"
        yield unknown(message, f"look on its machine: df -h {one_line(str(engine.root))}", subject=engine.address)
    silent = [node.id for node in facts.subject.nodes if not has_engine(node)]
    if silent:
        yield unknown(
            f"{', '.join(silent)}: BuildKit does not report its free disk space", "look on its machine: df -h"
        )


def _far_engines(facts: Facts) -> list[Engine]:
    engines = [facts.engine] if facts.uses_engine() else []
    known = [engine for engine in (*engines, *facts.engines.values()) if not isinstance(engine, Unanswered)]
    return list({engine.address: engine for engine in known if not engine.is_local}.values())


def _space_finding(place: Place, space: Space) -> Finding:
    path = one_line(str(place.path))
    left = f"{_size(space.free)} free for {place.purpose}: {path}"
    remedy = "free some disk space"
    if place.purpose is Purpose.ENGINE:
        remedy = "free some disk space: docker system df shows what uses it, docker buildx prune removes build caches"
    if not space.is_writable:
        message = f"this user may not write {place.purpose}: {path}"
        return missing(message, "correct the permissions of the folder", subject=path)
    if space.files is not None and space.files < LEAST_FILES:
        message = f"room for {count(space.files, 'new file')} only, for {place.purpose}: {path}"
        return missing(message, "remove files: the file system has no more inodes", subject=path)
    if space.free < LEAST_SPACE[place.purpose]:
        return missing(left, remedy, subject=path)
    if space.free < ENOUGH_SPACE[place.purpose]:
        return warning(left, remedy, subject=path)
    return ok(left, subject=path)


def _size(size: int) -> str:
    return f"{size / _GB:.1f} GB" if size >= _GB else f"{size // _MB} MB"
