"""The emulators that a plan needs on nodes."""

from __future__ import annotations

import pytest

from mpbake.base.platforms import parse_platforms
from mpbake.graph.emulators import missing_emulators, wanted_platforms
from tests.unit.plans import resolve_text

PLAN = """
    [builders.ci.nodes.a]
    [builders.ci.nodes.b]
    endpoint = "ssh://b"
    platforms = {}
    """


def lacking(platforms: str, *, declared: str = "", **reported: str) -> str:
    """Return the emulators that each node lacks, from the platforms that nodes report: `a: linux/arm64`."""
    names = [f"linux/{name}" for name in declared.split()]
    builder = resolve_text(PLAN.format(names)).builders["ci"]
    known = {f"ci/{node}": parse_platforms(f"linux/{name}" for name in text.split()) for node, text in reported.items()}
    wanted = parse_platforms(name if name.startswith("windows/") else f"linux/{name}" for name in platforms.split())
    missing = missing_emulators(builder, wanted, known)
    return "; ".join(f"{node.name}: {' '.join(map(str, platforms))}" for node, platforms in missing.items())


@pytest.mark.parametrize(
    ("platforms", "reported", "missing"),
    [
        ("amd64", {"a": "amd64", "b": "amd64"}, ""),
        ("amd64 386", {"a": "amd64", "b": "amd64"}, ""),
        ("amd64 arm64", {"a": "amd64", "b": "arm64"}, ""),
        ("amd64 arm64", {"a": "amd64 arm64", "b": "amd64"}, "b: linux/arm64"),
        ("amd64 arm64 arm", {"a": "amd64", "b": "amd64"}, "a: linux/arm64 linux/arm/v7; b: linux/arm64 linux/arm/v7"),
        ("arm/v6", {"a": "amd64 arm/v7", "b": "amd64"}, "b: linux/arm/v6"),
        ("amd64/v3", {"a": "arm64 amd64", "b": "arm64 amd64"}, ""),  # the emulator is there: it is not better
        ("arm64", {"a": "amd64"}, "a: linux/arm64"),  # b is not known: nothing is said about it
        ("arm64", {}, ""),
        ("windows/amd64", {"a": "amd64", "b": "amd64"}, ""),
    ],
)
def test_missing(platforms: str, reported: dict[str, str], missing: str) -> None:
    assert lacking(platforms, **reported) == missing


def test_a_platform_that_a_node_declares_is_built_there_only() -> None:
    assert lacking("arm64", declared="arm64", a="amd64", b="amd64") == "b: linux/arm64"
    assert lacking("arm64", declared="arm64", a="amd64", b="arm64") == ""
    assert lacking("s390x", declared="arm64", a="amd64", b="arm64") == "a: linux/s390x; b: linux/s390x"


def test_wanted_are_the_platforms_of_targets_and_of_what_they_link_to() -> None:
    plan = resolve_text("""
        [builders.ci]
        [targets.base]
        platforms = ["linux/amd64", "linux/arm64", "linux/riscv64"]
        [targets.tool]
        platforms = ["linux/386"]
        [targets.web]
        builder = "ci"
        platforms = ["linux/amd64", "linux/arm64"]
        contexts = { base = "target:base", tool = "target:tool" }
        """)
    builder, web = plan.builders["ci"], plan.targets["web"]
    wanted = wanted_platforms(builder, plan.targets.values())
    assert [str(platform) for platform in wanted] == ["linux/amd64", "linux/arm64", "linux/386"]
    only = {web: parse_platforms(["linux/arm64"])}
    assert [str(platform) for platform in wanted_platforms(builder, [web], only)] == ["linux/arm64", "linux/386"]
