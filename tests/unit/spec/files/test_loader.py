"""Reading a plan file: its values, its tables, and the locations of problems."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import Location, PlanError
from mpbake.spec.files.loader import read_plan
from tests.unit.plans import problems_of_bytes, problems_of_text, read_text, text

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.base.errors import KeyPath


def test_a_plan_and_its_document(tmp_path: Path) -> None:
    path = tmp_path / "build.toml"
    path.write_text("version = 1\n[targets.web]\ncontext = 'web'\n")
    plan_files, spec = read_plan([path], show=lambda _: "./build.toml")
    assert (plan_files.path, plan_files.main.shown) == (path, "./build.toml")
    assert plan_files.data == {"version": 1, "targets": {"web": {"context": "web"}}}
    assert spec.written().keys() == {"version", "targets"}
    assert spec.targets["web"].written() == {"context": "web"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"version = 1\n# \xff\n", "build.toml:2: is not UTF-8 text: byte 0xff\n  = save the file as UTF-8"),
        ("version = 1".encode("utf-16"), "build.toml:1: is not UTF-8 text: byte 0xff\n  = save the file as UTF-8"),
        (b"", 'build.toml: "version" is missing\n  = write version = 1 at the top of the file'),
        (b"x = " + b"9" * 5000, "build.toml: a number has too many digits"),
        (b"x = " + b"[" * 5000 + b"]" * 5000, "build.toml: nested too deeply"),
        (b"x" + b".x" * 5000 + b" = 1", "build.toml:1: a key has more than 20 parts"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, content: bytes, problem: str) -> None:
    assert problems_of_bytes(tmp_path, content) == problem


def test_a_folder_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        read_plan([tmp_path], show=lambda _: "plans/")
    assert str(caught.value) == "plans/: is a folder, not a plan [file-unreadable]"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "build.toml").symlink_to("nowhere")
    with pytest.raises(PlanError) as caught:
        read_plan([tmp_path / "build.toml"], show=lambda _: "build.toml")
    assert str(caught.value) == "build.toml: cannot be read: No such file or directory [file-unreadable]"


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("version",), 1),
        (("targets",), 2),
        (("targets", "web", "tags", 1), 5),
        (("targets", "web", "tags", 9), 3),
        (("targets", "web", "nothing", "of", "the", "kind"), 2),
        (("groups", "short", "targets"), 9),
        (("groups", "short", "targets", 0), 9),
        (("groups", "long", "targets", 0), 11),
        (("variables", "short", "default"), 13),
        (("variables", "long", "default"), 15),
        (("nowhere",), 0),
        ((), 0),
    ],
)
def test_the_place_of_a_key_or_of_what_holds_it(key: KeyPath, line: int) -> None:
    plan_files, _ = read_text("""
        [targets.web]
        tags = [
            "a",
            "b",
        ]
        [targets."#"]
        [groups]
        short = ["web"]
        [groups.long]
        targets = ["web"]
        [variables]
        short = 1
        [variables.long]
        default = 1
        """)
    location = plan_files.locate(key)
    assert location.line == line
    assert location.excerpt == (plan_files.main.text.split("\n")[line - 1] if line else "")
    short = key[1:2] == ("short",)
    assert location.key == ((*key[:2], *key[3:]) if short else key)


def test_a_key_that_stands_nowhere_has_only_a_file() -> None:
    plan_files, _ = read_text("")
    assert plan_files.locate(("defaults", "builder")) == Location(file="build.toml", key=("defaults", "builder"))


def test_control_characters_in_names_are_escaped() -> None:
    assert problems_of_text(r"""
        ["tar\u0000gets\u001b[31m"]
        [targets."a\nb"]
        contxt = "x"
        """) == text(r"""
        build.toml:2: "tar\x00gets\x1b[31m": unknown table "tar\x00gets\x1b[31m"
            ["tar\u0000gets\u001b[31m"]
          = did you mean "targets"?
        build.toml:4: targets."a\nb".contxt: unknown key "contxt"
            contxt = "x"
          = did you mean "context"?
        """)


def test_every_problem_of_the_shape_at_once_in_the_order_of_lines() -> None:
    assert problems_of_text("""
        [targets.web]
        contxt = "web"
        push = "yes"
        [groups]
        all = "web"
        [builders.release.nodes.one]
        platforms = ["linux"]
        tsl = {}
        """) == text("""
        build.toml:3: targets.web.contxt: unknown key "contxt"
            contxt = "web"
          = did you mean "context"?
        build.toml:4: targets.web.push: must be true or false, not text
            push = "yes"
        build.toml:6: groups.all: must be a list in square brackets, not text
            all = "web"
        build.toml:8: builders.release.nodes.one.platforms[0]: "linux" is not a platform: write \
os/architecture[/variant], such as linux/arm64
            platforms = ["linux"]
        build.toml:9: builders.release.nodes.one.tsl: unknown key "tsl"
            tsl = {}
          = did you mean "tls"?
        """)


@pytest.mark.parametrize("version", ["true", "1.0", '"1"', "2"])
def test_the_version_is_a_number(version: str, tmp_path: Path) -> None:
    path = tmp_path / "build.toml"
    path.write_text(f"version = {version}\n")
    with pytest.raises(PlanError, match=r"^build.toml:1:11: version: must be 1"):
        read_plan([path], show=lambda _: "build.toml")


def test_a_byte_order_mark_is_no_part_of_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "build.toml"
    path.write_bytes(b"\xef\xbb\xbfversion = 1\n")
    assert read_plan([path], show=lambda _: "build.toml")[1].version == 1


@pytest.mark.parametrize("name", ["a\\u0000b", "x" * 300])
def test_an_include_that_no_file_can_be(tmp_path: Path, name: str) -> None:
    assert "there is no file" in problems_of_bytes(tmp_path, f'version = 1\ninclude = ["{name}"]\n'.encode())


def test_a_long_name_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "build.toml"
    path.write_text(f"version = 1\n{'k' * 100_000} = 1\n")
    with pytest.raises(PlanError) as caught:
        read_plan([path], show=lambda _: "build.toml")
    assert len(str(caught.value)) < 1000
