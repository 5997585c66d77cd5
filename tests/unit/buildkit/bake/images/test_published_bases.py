"""The base images of a target that the same run has published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.buildkit.bake.images.published_bases import published_contexts
from tests.unit.plans import resolve_text

if TYPE_CHECKING:
    from pathlib import Path

STEM = """
    [targets.stem]
    tags = ["r/stem", "docker.io/library/stem:2"]
    [targets.other]
    tags = ["r/other:1"]
    [targets.web]
    """
DIGESTS = {"r/stem:latest": "sha256:1", "docker.io/library/stem:2": "sha256:1", "r/other:1": "sha256:2", "r/x:1": "no"}
BOTH = {"r/stem": "docker-image://r/stem@sha256:1", "stem:2": "docker-image://docker.io/library/stem@sha256:1"}


def upon(more: str, name: str = "web") -> dict[str, str]:
    return published_contexts(resolve_text(STEM + more).targets[name], DIGESTS)


@pytest.mark.parametrize(
    ("dockerfile", "contexts"),
    [
        ("FROM r/stem", BOTH),
        ("FROM $WHERE/stem", BOTH),
        ("FROM a\nCOPY --from=stem:2 / /", BOTH),
        ("FROM r/stems", {}),
        ("FROM scratch", {}),
        ("# syntax=docker/dockerfile:1\nFROM r/stem", BOTH),
        ("#syntax = docker.io/docker/dockerfile:1.4@sha256:0\nFROM r/stem", BOTH),
        ("# escape=`\n# syntax=docker/dockerfile-upstream:1.10-labs\nFROM r/stem", BOTH),
        ("# syntax=docker/dockerfile:1.3\nFROM r/stem", {}),
        ("# syntax=r/mine\nFROM r/stem", {}),
    ],
)
def test_the_tags_that_a_dockerfile_may_mean(dockerfile: str, contexts: dict[str, str]) -> None:
    assert upon(f"needs = ['stem', 'other']\ndockerfile-inline = '''\n{dockerfile}'''") == contexts


def test_a_name_may_come_from_an_argument() -> None:
    assert upon("needs = ['stem']\ndockerfile-inline = 'FROM $BASE'\nargs = { BASE = 'r/stem' }") == BOTH


def test_a_dockerfile_that_is_not_here_may_mean_anything(tmp_path: Path) -> None:
    assert upon("needs = ['stem']\ncontext = 'https://example.com/a.git'") == BOTH
    assert upon(f"needs = ['stem']\ncontext = '{tmp_path}'") == BOTH
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    assert upon(f"needs = ['stem']\ncontext = '{tmp_path}'") == {}


@pytest.mark.parametrize(
    "more",
    [
        "contexts = { base = 'target:base' }\n[targets.base]\nneeds = ['stem']",
        "needs = ['middle']\n[targets.middle]\nneeds = ['stem']",
    ],
)
def test_what_is_needed_by_what_is_built_within_or_needed_itself_counts(more: str) -> None:
    assert upon(f"dockerfile-inline = 'FROM r/stem'\n{more}") == BOTH


def test_what_is_not_needed_or_was_not_published_does_not_count() -> None:
    assert upon("dockerfile-inline = 'FROM r/stem'") == {}
    assert published_contexts(resolve_text(f"{STEM}needs = ['stem']").targets["web"], {}) == {}
