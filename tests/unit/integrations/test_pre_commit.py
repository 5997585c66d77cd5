"""The pre-commit hook."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpbake.integrations.pre_commit import check, plans_of
from tests.unit.integrations.fakes import FakeMpbake


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a checkout with three plans."""
    monkeypatch.chdir(tmp_path)
    for name in ("build.toml", "a/build.toml", "b/mpbake.toml", "a/web/Dockerfile", "b/deep/er/common.toml", "x.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize(
    ("files", "plans"),
    [
        ([], []),
        (["build.toml"], ["build.toml"]),
        (["b/mpbake.toml", "a/build.toml", "a/web/Dockerfile"], ["a/build.toml", "b/mpbake.toml"]),
        (["b/deep/er/common.toml"], ["b/mpbake.toml"]),
        (["x.txt", "removed/build.toml"], ["build.toml"]),
    ],
)
def test_the_plans_of_changed_files(files: list[str], plans: list[str]) -> None:
    assert plans_of(map(Path, files)) == list(map(Path, plans))


def test_files_without_a_plan_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert plans_of([Path("x.txt")]) == []


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize("arguments", [["--strict", "a/build.toml"], ["--strict", "--", "a/build.toml"]])
def test_options_are_passed_on(arguments: list[str]) -> None:
    mpbake = FakeMpbake(code=3)
    assert check(arguments, mpbake) == 3
    assert mpbake.calls == [["check", "-f", "a/build.toml", "--strict"]]


@pytest.mark.usefixtures("checkout")
def test_all_plans_are_checked_after_a_failure() -> None:
    mpbake = FakeMpbake(code=141)
    assert check(["build.toml", "a/build.toml"], mpbake) == 141
    assert len(mpbake.calls) == 2
