"""The discovery of the plan in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import PlanError
from mpbake.spec.files.discovery import find_plan
from tests.unit.plans import in_short

if TYPE_CHECKING:
    from pathlib import Path


PLAN = "version = 1\n"


FOREIGN = '[build-system]\nrequires = ["hatchling"]\n'


def test_the_plan_of_the_folder_itself(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(PLAN)
    (tmp_path / "mpbake.toml").write_text(PLAN)
    assert find_plan(tmp_path).path == tmp_path / "build.toml"


def test_the_nearest_plan_above(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(PLAN)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mpbake.toml").write_text(PLAN)
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    assert find_plan(tmp_path / "a" / "b" / "c").path == tmp_path / "a" / "mpbake.toml"


@pytest.mark.parametrize(
    "own",
    [
        *("version = 2\n", "[targets.web]\n", "[builders.x]\n", "[groups]\n", "[targets"),
        *("[variables]\na = 1\n", "[defaults.target]\n", 'include = ["common.toml"]\n', 'requires = ">=1"\n'),
        *('publish = "together"\n', "\ufeff[targets.web]\n", "x = [\n[1],\n]\nversion = 1\n"),
    ],
)
def test_what_may_be_a_plan_is_taken_even_when_it_is_wrong(tmp_path: Path, own: str) -> None:
    (tmp_path / "build.toml").write_text(PLAN)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "build.toml").write_text(own)
    assert find_plan(tmp_path / "a").path == tmp_path / "a" / "build.toml"


def test_what_is_not_utf8_is_taken_and_complained_of_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_bytes(b"\xff")
    assert find_plan(tmp_path).path == tmp_path / "build.toml"


@pytest.mark.parametrize(
    "foreign",
    [
        *(FOREIGN, "", "# nothing\n", "# a word on version\n"),
        *('[package]\nversion = "1.2"\n', "x = 1\n[a]\nversion = 1\n"),
        *("\ufeff[tool]\n", "x = [\n[1],\n]\n", 'x = """\n[targets.web]\n"""\n'),
    ],
)
def test_the_file_of_another_tool_is_passed_over(tmp_path: Path, foreign: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "build.toml").write_text(foreign)
    (tmp_path / "a" / "mpbake.toml").write_text(PLAN)
    (tmp_path / "build.toml").write_text(PLAN)
    assert find_plan(tmp_path / "a").path == tmp_path / "a" / "mpbake.toml"
    (tmp_path / "a" / "mpbake.toml").unlink()
    assert find_plan(tmp_path / "a").path == tmp_path / "build.toml"


def test_folders_and_dangling_links_are_no_plans(tmp_path: Path) -> None:
    (tmp_path / "mpbake.toml").write_text(PLAN)
    (tmp_path / "a" / "build.toml").mkdir(parents=True)
    (tmp_path / "a" / "mpbake.toml").symlink_to("nowhere")
    assert find_plan(tmp_path / "a").path == tmp_path / "mpbake.toml"


def test_what_is_passed_over_on_the_way_is_told_and_why(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(FOREIGN)
    (tmp_path / "mpbake.toml").write_text(PLAN)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "build.toml").write_text(FOREIGN)
    (tmp_path / "a" / "mpbake.toml").symlink_to("nowhere")
    (tmp_path / "a" / "b" / "build.toml").mkdir()
    assert find_plan(tmp_path / "a" / "b").passed_over == {
        tmp_path / "a" / "b" / "build.toml": "is a folder",
        tmp_path / "a" / "build.toml": "has neither version = 1 nor any other key of a plan",
        tmp_path / "a" / "mpbake.toml": "is a broken symlink",
    }


def test_the_file_of_another_tool_beside_a_plan_is_nothing_to_tell(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(FOREIGN)
    (tmp_path / "mpbake.toml").write_text(PLAN)
    location = find_plan(tmp_path)
    assert (location.passed_over, location.beside) == ({}, ())


@pytest.mark.parametrize(("second", "beside"), [(PLAN, ["mpbake.toml"]), (FOREIGN, [])])
def test_a_second_plan_beside_the_first(tmp_path: Path, second: str, beside: list[str]) -> None:
    (tmp_path / "build.toml").write_text(PLAN)
    (tmp_path / "mpbake.toml").write_text(second)
    assert [path.name for path in find_plan(tmp_path).beside] == beside


def test_no_plan_anywhere(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        find_plan(tmp_path)
    assert in_short(caught.value) == (
        f"no build.toml or mpbake.toml in {tmp_path} or any folder above it\n"
        "  = run `mpbake init` to write a first plan, or name a plan with -f FILE"
    )


def test_no_plan_but_files_of_other_tools(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(FOREIGN)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "build.toml").write_text(FOREIGN)
    with pytest.raises(PlanError) as caught:
        find_plan(tmp_path / "a")
    assert in_short(caught.value) == (
        f"no build.toml or mpbake.toml in {tmp_path}/a or any folder above it"
        f" (passed over: {tmp_path}/a/build.toml has neither version = 1 nor any other key of a plan,"
        f" {tmp_path}/build.toml has neither version = 1 nor any other key of a plan)\n"
        "  = run `mpbake init` to write a first plan, or name a plan with -f FILE"
    )


def test_what_is_in_the_way_of_a_plan_is_named(tmp_path: Path) -> None:
    (tmp_path / "build.toml").mkdir()
    (tmp_path / "mpbake.toml").symlink_to("nowhere")
    with pytest.raises(PlanError) as caught:
        find_plan(tmp_path)
    assert f"{tmp_path}/build.toml is a folder, {tmp_path}/mpbake.toml is a broken symlink" in str(caught.value)
