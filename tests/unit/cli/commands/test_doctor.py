"""`mpbake doctor`: its options, what it checks, its exit codes."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

import mpbake.cli.commands.doctor
from mpbake.base.errors import PlanError, UsageError
from mpbake.cli.commands import doctor
from mpbake.graph.doctor.facts import Unanswered
from mpbake.report.formats import DOCTOR_FORMATS
from tests.checkout import DOCS
from tests.unit.cli.test_app import Called, plain_environment, typed
from tests.unit.doctors import facts_of
from tests.unit.worlds import call, options_for, world, written

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.cli.world import World
    from mpbake.graph.doctor.facts import Subject

__all__ = ["plain_environment"]

PLAN = """
version = 1
[groups]
default = ["web"]
[builders.unused]
[builders.ci]
[targets.base]
tags = ["r/base"]
push = true
[targets.web]
builder = "ci"
needs = ["base"]
platforms = ["linux/amd64", "linux/arm64"]
tags = ["r/web"]
[targets.other]
"""


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("doctor", {}),
        ("doctor web api", {"names": ("web", "api")}),
        ("doctor --format json --no-color", {"format": "json", "no_color": True}),
        ("doctor --push -f a.toml", {"push": True, "files": ("a.toml",)}),
    ],
)
def test_options(monkeypatch: pytest.MonkeyPatch, words: str, options: dict[str, Any]) -> None:
    called = Called()
    monkeypatch.setattr(mpbake.cli.commands.doctor, "main", called.main)
    assert typed(monkeypatch, *words.split()) == 7
    assert called.options == options_for("doctor", **options)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Subject]:
    """The subjects about which facts were asked; docker is missing."""
    subjects: list[Subject] = []

    def find(_: object, subject: Subject) -> Any:
        subjects.append(subject)
        missing = Unanswered(reason="no docker", remedy="install it")
        return facts_of("", client=missing, buildx=missing, engine=missing)

    monkeypatch.setattr(doctor, "find_facts", find)
    monkeypatch.setattr(doctor, "open_services", lambda *_: contextlib.nullcontext())
    return subjects


def diagnosed(folder: Path, **options: Any) -> tuple[int, World]:
    """Run the command in a folder with a plan."""
    (folder / "build.toml").write_text(PLAN)
    here = world(folder)
    return call(doctor.main, here, **options), here


def names_of(subject: Subject) -> tuple[list[str], list[str]]:
    """Return the names of the targets and of the builders."""
    return [target.name for target in subject.targets], [builder.name for builder in subject.builders]


def test_without_a_name_everything_is_checked(tmp_path: Path, asked: list[Subject]) -> None:
    assert diagnosed(tmp_path)[0] == 5
    assert names_of(asked[0]) == (["base", "web", "other"], ["unused", "ci", "default"])


def test_a_name_checks_a_target_with_its_dependencies(tmp_path: Path, asked: list[Subject]) -> None:
    diagnosed(tmp_path, names=("web",), platforms=("linux/arm64",))
    assert names_of(asked[0]) == (["base", "web"], ["ci", "default"])
    assert {target.name: [str(p) for p in only] for target, only in asked[0].only.items()} == {"web": ["linux/arm64"]}


def test_push_is_that_of_a_run(tmp_path: Path, asked: list[Subject]) -> None:
    diagnosed(tmp_path)
    diagnosed(tmp_path, push=True)
    pushed = [[target.name for target in subject.targets if target.push] for subject in asked]
    assert pushed == [["base"], ["base", "web"]]


def test_without_a_plan_docker_is_checked(tmp_path: Path, asked: list[Subject]) -> None:
    here = world(tmp_path)
    assert call(doctor.main, here) == 5
    assert asked[0].plan_files is None
    assert written(here.stdout).startswith("no plan here: only docker and this machine are checked\n")


@pytest.mark.parametrize(
    "options",
    [
        {"names": ("web",)},
        {"files": ("nothing.toml",)},
        {"push": True},
        {"builder": "nope"},
        {"platforms": ("linux/arm64",)},
        {"variables": ("tag=1",)},
    ],
)
def test_what_is_about_a_plan_needs_one(tmp_path: Path, asked: list[Subject], options: dict[str, Any]) -> None:
    with pytest.raises(PlanError):
        call(doctor.main, world(tmp_path), **options)
    assert asked == []


def test_without_a_plan_in_another_folder_docker_is_checked(tmp_path: Path, asked: list[Subject]) -> None:
    call(doctor.main, world(tmp_path), directory=str(tmp_path), format="json")
    assert asked[0].plan_files is None


def test_a_wrong_plan_is_not_diagnosed(tmp_path: Path, asked: list[Subject]) -> None:
    (tmp_path / "build.toml").write_text("version = 1\n[targets.web]\ntag = 1\n")
    with pytest.raises(PlanError):
        call(doctor.main, world(tmp_path))
    with pytest.raises(UsageError):
        diagnosed(tmp_path, names=("nobody",))
    with pytest.raises(UsageError):
        diagnosed(tmp_path, platforms=("linux/s390x",))
    assert asked == []


def test_when_nothing_is_missing_the_exit_code_is_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_facts", lambda *_: facts_of(""))
    monkeypatch.setattr(doctor, "open_services", lambda *_: contextlib.nullcontext())
    code, here = diagnosed(tmp_path, format="json")
    assert code == 0
    assert json.loads(written(here.stdout))["plan"] == "build.toml"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "options", "coloured"),
    [
        ({}, {}, True),
        ({"NO_COLOR": "1"}, {}, False),
        ({"TERM": "dumb"}, {}, False),
        ({}, {"no_color": True}, False),
        ({}, {"format": "json"}, False),
    ],
)
def test_colours(
    tmp_path: Path, asked: list[Subject], environment: dict[str, str], options: dict[str, Any], *, coloured: bool
) -> None:
    here = world(tmp_path, environment)
    object.__setattr__(here, "stdout", _Terminal())
    call(doctor.main, here, **options)
    assert ("\x1b[" in written(here.stdout)) is coloured
    assert asked


def test_the_page_on_doctor_names_every_format_and_every_check() -> None:
    from mpbake.graph.doctor.checks import DOCTOR_CHECKS

    page = (DOCS / "doctor.md").read_text(encoding="utf-8")
    assert [check.name for check in DOCTOR_CHECKS if f"`{check.name}`" not in page] == []
    assert "`mpbake doctor --format json`" in page
    assert sorted(DOCTOR_FORMATS) == ["json", "text"]
