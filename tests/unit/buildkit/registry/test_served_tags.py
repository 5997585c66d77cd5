"""Where the tags of a plan point now, with registries in memory."""

from __future__ import annotations

import pytest

from mpbake.base.errors import Cancelled
from mpbake.buildkit.registry.served_tags import served_tags
from mpbake.buildkit.registry.transport import NoResponse
from tests.unit.plans import resolve_text
from tests.unit.registries import MemoryRegistries, MemoryRegistry, fails, refusal

PLAN = """
    [targets.web]
    tags = ["r:1/web:1", "r:1/web:new"]
    push = true
    [targets.kept]
    tags = ["r:1/kept:1"]
    """


def states(registry: MemoryRegistry) -> list[tuple[str, str, str, str]]:
    targets = resolve_text(PLAN).targets.values()
    return [
        (tag.tag, tag.target, tag.state, tag.digest or tag.trouble)
        for tag in served_tags(MemoryRegistries(registry), targets)
    ]


def test_tags_that_move_and_new_tags() -> None:
    registry = MemoryRegistry()
    index = registry.add_index("r:1/web", "amd64", tag="1")
    assert states(registry) == [("r:1/web:1", "web", "moves", index.digest), ("r:1/web:new", "web", "new", "")]
    assert sorted(registry.asked) == ["HEAD r:1/web:1", "HEAD r:1/web:new"], (
        "nothing is changed, no other tag is asked for"
    )


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_registry_that_does_not_say(status: int) -> None:
    registry = MemoryRegistry(lambda *_: refusal(status))
    for tag in states(registry):
        assert tag[2] == "unknown"
        assert tag[3].startswith("r:1")
    assert len(registry.asked) <= 4, "no retries"


def test_a_registry_that_does_not_answer() -> None:
    registry = MemoryRegistry(fails(*[NoResponse("no route to host", sent=False)] * 9))
    assert [state for _, _, state, _ in states(registry)] == ["unknown"] * 2


def test_nothing_is_pushed() -> None:
    targets = resolve_text("[targets.web]\ntags = ['r:1/web']").targets.values()
    assert served_tags(MemoryRegistries(MemoryRegistry()), targets) == ()


def test_a_command_that_is_stopped() -> None:
    def stop(*_: object) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        states(MemoryRegistry(stop))
