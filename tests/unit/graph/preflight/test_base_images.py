"""The images that Dockerfiles build from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.cli.loading import load_plan
from mpbake.cli.options import SourceOptions
from mpbake.graph.preflight.base_images import foreign_bases, unlinked_bases
from tests.unit.worlds import world

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.model.plan import Plan


def plan_of(folder: Path, toml: str) -> Plan:
    (folder / "build.toml").write_text(f"version = 1\n{toml}\n")
    return load_plan(SourceOptions(), world(folder))[1]


@pytest.mark.parametrize(
    ("dockerfile", "attributes", "unlinked"),
    [
        ("FROM base", "", ["base"]),
        ("FROM base", "context = 'missing'", []),
        ("FROM base AS one\nFROM one", "", ["base"]),
        ("FROM other AS base\nFROM base", "", []),
        ("FROM web", "", []),
        ("FROM docker.io/library/base\nFROM base:1\nFROM $base", "", []),
        ("FROM base", "contexts = { base = 'target:base' }", []),
        ("FROM base", "contexts = { 'docker.io/library/base:latest' = 'docker-image://alpine' }", []),
        ("FROM scratch", "dockerfile-inline = 'FROM base'", ["base"]),
        ("FROM base", "platforms = ['linux/amd64']\nplatform.'linux/amd64'.target = 'x'", ["base"]),
    ],
)
def test_a_base_that_is_not_linked(tmp_path: Path, dockerfile: str, attributes: str, unlinked: list[str]) -> None:
    (tmp_path / "Dockerfile").write_text(dockerfile)
    base = "[targets.base]\ndockerfile-inline = 'FROM scratch'"
    plan = plan_of(tmp_path, f"{base}\n[targets.web]\n{attributes}")
    assert [problem.culprit for problem in unlinked_bases(plan.targets, lambda _: True)] == unlinked


BOTH = 'platforms = ["linux/amd64", "linux/arm64"]'
FOREIGN = "web: its Dockerfile says FROM base, which is built for linux/amd64 only"


@pytest.mark.parametrize(
    ("dockerfile", "base", "web", "messages"),
    [
        ("FROM base", 'platforms = ["linux/amd64"]', BOTH, [FOREIGN]),
        ("FROM docker.io/library/base:latest", 'platforms = ["linux/amd64"]', BOTH, [FOREIGN]),
        ("FROM scratch\nCOPY --from=base / /", 'platforms = ["linux/amd64"]', BOTH, []),
        ("FROM base AS files\nFROM scratch\nCOPY --from=files / /", 'platforms = ["linux/amd64"]', BOTH, []),
        ("FROM base AS all\nFROM scratch\nFROM all", 'platforms = ["linux/amd64"]', BOTH, [FOREIGN]),
        ("FROM base AS one\nFROM scratch", 'platforms = ["linux/amd64"]', f"{BOTH}\ntarget = 'one'", [FOREIGN]),
        ("FROM --platform=$BUILDPLATFORM base", 'platforms = ["linux/amd64"]', BOTH, []),
        ("FROM base", "", BOTH, []),
        ("FROM base", BOTH, BOTH, []),
        ("FROM base", 'platforms = ["linux/amd64"]', 'platforms = ["linux/amd64"]', []),
        ("FROM base", 'platforms = ["linux/386"]', 'platforms = ["linux/amd64"]', []),
        ("FROM base", 'platforms = ["linux/amd64"]', "", []),
        ("FROM base", 'platforms = ["linux/amd64"]', f"{BOTH}\nplatform.'linux/arm64'.dockerfile = 'None'", []),
    ],
)
def test_a_base_that_is_of_another_platform(
    dockerfile: str, base: str, web: str, messages: list[str], tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(dockerfile)
    base = f"[targets.base]\ndockerfile-inline = 'FROM scratch'\n{base}"
    plan = plan_of(tmp_path, f"{base}\n[targets.web]\ncontexts = {{ base = 'target:base' }}\n{web}")
    assert [problem.message for problem in foreign_bases(plan.targets.values(), lambda _: True)] == messages


def test_a_base_of_another_platform_is_told_once_and_by_both_its_names(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        f"""
        [targets.base]
        platforms = ["linux/amd64"]
        dockerfile-inline = "FROM scratch"
        [targets.middle]
        contexts = {{ stem = "target:base" }}
        dockerfile-inline = "FROM stem"
        [targets.a]
        {BOTH}
        contexts = {{ middle = "target:middle" }}
        dockerfile-inline = "FROM middle"
        [targets.b]
        inherits = ["a"]
        """,
    )
    (warning,) = foreign_bases(plan.targets.values(), lambda _: True)
    assert warning.message == (
        'middle: its Dockerfile says FROM stem, the target "base", which is built for linux/amd64 only'
    )
    assert warning.hint == (
        "add linux/arm64 to platforms of base: otherwise the image for linux/arm64 has programs for linux/amd64"
    )
    assert warning.key == ("targets", "middle", "contexts", "stem")
