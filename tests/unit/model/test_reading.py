"""Which files mpbake may read for a plan."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mpbake.model.grants import parse_allowances
from mpbake.model.reading import ReadAccess


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the folder of a plan with links of every kind."""
    root = tmp_path / "plan"
    (root / "inner").mkdir(parents=True)
    (tmp_path / "plan-b").mkdir()
    (tmp_path / "home").mkdir()
    (root / "file").touch()
    (root / "near").symlink_to("inner/../file")
    (root / "far").symlink_to(tmp_path / "home/secret")
    (root / "folder").symlink_to("../home")
    (root / "chain").symlink_to("far")
    (root / "loop").symlink_to("loop")
    (root / "inner/up").symlink_to("..")
    (tmp_path / "alias").symlink_to("plan")
    return root


INSIDE = [
    "file",
    "none",
    "near",
    "inner/up/file",
    "inner/../file",
    "../alias/file",
    "loop",
    "",
    ".",
    "a\0b",
    "x" * 9999,
]
OUTSIDE = ["..", "../plan-b/file", "../none", "far", "chain", "folder/x", "inner/up/../x", "/etc/passwd", "/"]


@pytest.mark.parametrize("folder", ["plan", "alias"])
def test_only_what_really_lies_in_the_folder(root: Path, folder: str) -> None:
    access = ReadAccess(folder=root.parent / folder)
    assert [name for name in (*INSIDE, *OUTSIDE) if access.may_read(root / name)] == INSIDE


@pytest.mark.parametrize(
    ("allow", "names"),
    [
        ("all", OUTSIDE),
        ("fs.read=/", OUTSIDE),
        ("fs.read=../home", ["far", "chain", "folder/x"]),
        ("fs.read=folder", ["far", "chain", "folder/x"]),
        ("fs.read=far", ["far", "chain"]),
        ("fs.read=../home/secret", ["far", "chain"]),
        ("fs.read=../plan-", []),
        ("fs.write=..", []),
    ],
)
def test_what_is_granted(root: Path, allow: str, names: list[str]) -> None:
    access = ReadAccess(folder=root, allowances=parse_allowances([allow], str(root)))
    assert [name for name in OUTSIDE if access.may_read(root / name)] == names


def test_a_file_that_the_command_line_names(root: Path) -> None:
    access = ReadAccess(folder=root)
    named = ["file", "near", "loop", "../plan-b/x", "/etc/hostname", "folder/x", "/dev/stdin", "/proc/self/fd/0"]
    assert {name: access.may_read_named(root / name) for name in named} == dict.fromkeys(named, True)
    assert not access.may_read_named(root / "far")
    assert not access.may_read_named(root / "chain")


def test_messages(root: Path) -> None:
    access = ReadAccess(folder=root)
    home = root.parent / "home"
    assert access.problem(root / "far", "far") == f"far is a link to {home}/secret, outside of the plan's folder"
    assert access.problem(home / "x\n", "../home/x\n") == "../home/x\\n is outside of the plan's folder"
    trust = "if you trust the plan with this file, add: --allow"
    assert access.remedy(root / "far") == f"{trust} fs.read=../home/secret"
    assert access.remedy(home / "a b") == f"{trust} 'fs.read=../home/a b'"
    assert access.remedy(Path(os.devnull)) == f"{trust} fs.read=/dev/null"
