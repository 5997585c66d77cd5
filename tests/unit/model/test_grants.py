"""The values of `--allow`, and which rights they grant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.model.grants import Allowances, Grant, GrantKind, parse_allowances

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "/team/plan"
SAMPLES = [Grant(kind=kind, value="x" if kind.has_value else "") for kind in GrantKind]


def _covers(texts: list[str], wanted: str) -> bool:
    (grant,) = parse_allowances([wanted], FOLDER).grants
    return parse_allowances(texts, FOLDER).covers(grant)


@pytest.mark.parametrize("grant", SAMPLES, ids=lambda grant: grant.text)
def test_the_text_of_a_grant_is_its_option(grant: Grant) -> None:
    allowances = parse_allowances([grant.text], FOLDER)
    assert allowances.grants == {grant}
    assert allowances.covers(grant)
    assert [other for other in SAMPLES if allowances.covers(other)] == [grant]


@pytest.mark.parametrize("grant", SAMPLES, ids=lambda grant: grant.text)
def test_all_grants_everything_and_nothing_is_granted_by_default(grant: Grant) -> None:
    assert parse_allowances(["all"], FOLDER).covers(grant)
    assert not Allowances().covers(grant)


@pytest.mark.parametrize(
    ("allowed", "wanted", "covered"),
    [
        ("fs.read=../shared", "fs.read=../shared/web", True),
        ("fs.read=../shared/", "fs.read=/team/shared", True),
        ("fs.read=/team/shared", "fs.read=../shared/x/../y", True),
        ("fs.read=../shared", "fs.read=../shared2", False),
        ("fs.read=../shared/web", "fs.read=../shared", False),
        ("fs.read=../shared", "fs.read=../shared/../other", False),
        ("fs.read=../shared", "fs.write=../shared", False),
        ("fs.read=/", "fs.read=/etc/passwd", True),
        ("device", "device=gpu", True),
        ("device=gpu", "device", False),
        ("device=gpu", "device=gpu0", False),
        ("env=A", "env=AB", False),
        ("endpoint=ssh://a", "endpoint=ssh://a/b", False),
    ],
)
def test_a_folder_includes_its_files_and_other_values_must_be_equal(allowed: str, wanted: str, covered: bool) -> None:  # noqa: FBT001
    assert _covers([allowed], wanted) is covered


def test_paths_are_compared_after_resolving_symlinks(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    wanted = Grant(kind=GrantKind.READ, value=str(tmp_path / "real" / "file"))
    assert parse_allowances(["fs.read=link"], str(tmp_path)).covers(wanted)
    (tmp_path / "real" / "file").symlink_to("/etc/passwd")
    assert not parse_allowances(["fs.read=link"], str(tmp_path)).covers(wanted)


def test_missing_keeps_the_order() -> None:
    grants = parse_allowances(["ssh", "env=A"], FOLDER)
    wanted = [
        Grant(kind=GrantKind.READ, value="/x"),
        Grant(kind=GrantKind.SSH),
        Grant(kind=GrantKind.VARIABLE, value="B"),
    ]
    assert grants.missing(wanted) == (wanted[0], wanted[2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fs.reed=/x", 'unknown right "fs.reed"\ndid you mean "fs.read"?'),
        ("", 'unknown right ""\nknown rights: '),
        ("ALL", 'unknown right "ALL"\nknown rights: all, '),
        ("ssh\n", 'unknown right "ssh\\n"\n'),
        ("fs.read", "fs.read needs a value\nwrite fs.read=VALUE"),
        ("fs.read=", "fs.read needs a value\nwrite fs.read=VALUE"),
        ("device=", "device needs a value\nwrite device=VALUE"),
        ("ssh=default", "ssh takes no value\nwrite ssh"),
        ("all=", "all takes no value\nwrite all"),
    ],
)
def test_a_wrong_value_is_explained(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_allowances([text], FOLDER)
    assert str(caught.value).startswith(message)
