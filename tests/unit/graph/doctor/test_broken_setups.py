"""Broken set-ups, each with the whole text of `mpbake doctor`.

    UPDATE_GOLDEN=1 pytest tests/unit/graph/doctor/test_broken_setups.py

writes the texts anew. tests/engine/test_doctor.py has the set-ups that can be made for real.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.graph.doctor.facts import Clock, Place, PushAccess, Space, Unanswered
from mpbake.model.plan import Driver
from tests.checkout import DOCS, GOLDEN
from tests.unit.doctors import GB, SPACES, engine_of, facts_of, lost, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpbake.graph.doctor.facts import Facts

PLAN = """
    [builders.ci]
    network = "host"
    nodes.local = {}
    [targets.web]
    builder = "ci"
    platforms = ["linux/amd64"]
    tags = ["registry.example.com/web:1"]
    push = true
    """
TWO_MACHINES = """
    [builders.release]
    driver = "remote"
    [builders.release.nodes.intel]
    endpoint = "tcp://10.0.0.5:1234"
    platforms = ["linux/amd64"]
    insecure = true
    [builders.release.nodes.arm]
    endpoint = "tcp://127.0.0.1:1234"
    platforms = ["linux/arm64"]
    [targets.web]
    builder = "release"
    platforms = ["linux/amd64", "linux/arm64"]
    tags = ["{}/web:1"]
    push = true
    """
RELEASE = TWO_MACHINES.format("registry.example.com")
NO_DOCKER = Unanswered(reason="the docker command was not found", remedy="install Docker, or put docker on the PATH")
NO_BUILDX = Unanswered(reason="docker buildx is missing", remedy="install buildx 0.13 or newer")
NO_ENGINE = Unanswered(
    reason="the Docker engine does not answer: Cannot connect to the Docker daemon", remedy="start it"
)
DENIED = "registry.example.com answers 403 Forbidden: DENIED requested access to the resource is denied"
UNAUTHORIZED = "registry.example.com answers 401 Unauthorized: UNAUTHORIZED authentication required"


def _push(**access: Any) -> dict[str, Any]:
    return {"pushes": {"registry.example.com/web": PushAccess(**access)}}


def _dead_node() -> Facts:
    facts = facts_of(RELEASE)
    dead = facts.subject.nodes[0]
    trouble = (
        "node release/intel does not answer at tcp://10.0.0.5:1234: timed out\n"
        "  = check that the machine is up, and its firewall"
    )
    return replace(facts, nodes={**facts.nodes, dead.id: lost(dead, trouble)})


def _full_disk() -> Facts:
    engine, state, temporary = SPACES
    spaces: dict[Place, Any] = {
        engine: Space(free=3 * GB, files=100_000),
        state: Space(free=9_000_000),
        temporary: Space(free=80 * GB, files=4),
    }
    return facts_of(PLAN, spaces=spaces)


_OLD_BUILDX = PLAN.replace("network =", "default-load = true\n    network =")
DOCUMENTED = """
    [builders.release]
    network = "host"
    nodes.server = {}
    nodes.laptop = { endpoint = "ssh://laptop", platforms = ["linux/arm64"] }
    [targets.web]
    builder = "release"
    platforms = ["linux/amd64", "linux/arm64", "linux/riscv64"]
    tags = ["registry.example.com/team/web:1.0"]
    push = true
    """


def _documented() -> Facts:
    """The set-up that docs/doctor.md shows."""
    facts = facts_of(DOCUMENTED)
    return replace(
        facts,
        engines={**facts.engines, "release/laptop": engine_of(address="ssh://laptop", ahead=-425.0)},
        pushes={"registry.example.com/team/web": PushAccess(has_login=False, status=401, message=UNAUTHORIZED)},
    )


SETUPS: dict[str, Callable[[], Facts]] = {
    "documented": _documented,
    "fine": lambda: facts_of(RELEASE),
    "no-plan": lambda: facts_of(""),
    "no-docker": lambda: facts_of(PLAN, client=NO_DOCKER, buildx=NO_DOCKER, engine=NO_DOCKER),
    "no-buildx": lambda: facts_of(PLAN, buildx=NO_BUILDX),
    "old-buildx": lambda: facts_of(_OLD_BUILDX, buildx=(0, 13)),
    "no-engine": lambda: facts_of(
        PLAN,
        engine=NO_ENGINE,
        engines={"ci/local": NO_ENGINE},
        nodes={
            "ci/local": lost(facts_of(PLAN).subject.nodes[0], "node ci/local cannot be used: no engine\n  = start it")
        },
    ),
    "classic-store": lambda: facts_of(
        """
        [builders.engine]
        driver = "docker"
        [targets.web]
        builder = "engine"
        platforms = ["linux/amd64", "linux/arm64"]
        """,
        {"engine/local": "linux/amd64 linux/arm64"},
        engine=engine_of(store="classic"),
        engines={"engine/local": engine_of(store="classic")},
    ),
    "no-emulator": lambda: facts_of(PLAN.replace('["linux/amd64"]', '["linux/amd64", "linux/arm64"]')),
    "dead-node": _dead_node,
    "no-login": lambda: facts_of(PLAN, **_push(has_login=False, status=401, message=UNAUTHORIZED)),
    "no-push-permission": lambda: facts_of(PLAN, **_push(has_login=True, status=403, message=DENIED)),
    "localhost-registry": lambda: facts_of(TWO_MACHINES.format("localhost:5000")),
    "clock-skew": lambda: facts_of(
        PLAN,
        engines={"ci/local": engine_of(address="ssh://build1", ahead=-425.0)},
        registry_clocks={"registry.example.com": Clock(ahead=90.0)},
    ),
    "full-disk": _full_disk,
    "default-builder": lambda: facts_of(
        '[targets.web]\nplatforms = ["linux/amd64", "linux/arm64"]',
        default=Driver.DOCKER_CONTAINER,
        engine=engine_of(store="classic"),
    ),
}


@pytest.mark.parametrize("name", SETUPS)
def test_setup(name: str) -> None:
    printed = text_of(SETUPS[name]())
    assert all(len(line) <= 80 for line in printed.splitlines())
    file = GOLDEN / "doctor" / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(printed, encoding="utf-8")
    assert printed == file.read_text(encoding="utf-8")


def test_every_golden_text_has_its_setup() -> None:
    assert sorted(path.stem for path in (GOLDEN / "doctor").glob("*.txt")) == sorted(SETUPS)


def test_the_page_on_doctor_shows_a_real_text() -> None:
    printed = (GOLDEN / "doctor/documented.txt").read_text(encoding="utf-8")
    assert f"```text\n$ mpbake doctor\n{printed}```" in (DOCS / "doctor.md").read_text(encoding="utf-8")
