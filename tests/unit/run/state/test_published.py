"""The record of published images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.base.platforms import parse_platforms
from mpbake.model.expected_images import expected_of
from mpbake.model.steps import Outcome, Publish, StepResult, StepStatus, Verify
from mpbake.run.state.published import published_by, read_published, write_published
from tests.unit.plans import target_of_text

if TYPE_CHECKING:
    from pathlib import Path

BOTH = parse_platforms(["linux/amd64", "linux/arm64"])
PLAN = """
    [targets.web]
    tags = ["r/web:1", "s:5000/web:1"]
    labels = { a = "b" }
    annotations = ["index,manifest[linux/arm64]:c=d"]
    attest = ["type=sbom"]
    """


def test_what_was_written_is_what_is_read(tmp_path: Path) -> None:
    published = {"web": expected_of(target_of_text(PLAN), BOTH, "sha256:1")}
    write_published(tmp_path, published)
    assert read_published(tmp_path) == (published, "")
    assert [path.name for path in tmp_path.iterdir()] == ["published.json"]


@pytest.mark.parametrize("kind", [Publish, Verify])
def test_only_what_succeeded_is_published(kind: type[Publish | Verify]) -> None:
    target = target_of_text(PLAN)
    outcome = Outcome(digest="sha256:1", platforms=BOTH)
    good, bad = (
        StepResult(step=kind(target=target), status=status, outcome=outcome)
        for status in (StepStatus.DONE, StepStatus.FAILED)
    )
    assert published_by([good]) == {"web": expected_of(target, BOTH, "sha256:1")}
    assert published_by([bad]) == {}
    failed = StepResult(step=Verify(target=target), status=StepStatus.FAILED)
    assert published_by([good, failed]) == published_by([good])


def test_nothing_was_published_yet(tmp_path: Path) -> None:
    assert read_published(tmp_path) == ({}, "")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "targets": {"web": {"tags": ["!"]}}}', "[" * 100_000]
)
def test_a_damaged_file_counts_as_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "published.json").write_text(content)
    published, warning = read_published(tmp_path)
    assert (published, warning) == (
        {},
        f"{tmp_path}/published.json is damaged: what earlier runs published is not known",
    )


def test_a_newer_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "published.json").write_text('{"format": 2}')
    assert "written by a newer mpbake" in read_published(tmp_path)[1]
    write_published(tmp_path, {"web": expected_of(target_of_text(PLAN), BOTH, "sha256:1")})
    assert (tmp_path / "published.json").read_text() == '{"format": 2}'


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "published.json").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text('{"format": 1, "targets": {}}')
    assert "is damaged" in read_published(tmp_path)[1]
