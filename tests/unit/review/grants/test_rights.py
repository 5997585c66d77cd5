"""The rights of a run: a later call needs no more than was granted at the start."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import NotGranted
from mpbake.base.files import real_path
from mpbake.model.grants import parse_allowances
from mpbake.review.grants import Rights, needed_grants
from tests.unit.plans import resolve_files

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.model.plan import Target


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the folder of a plan, beside the folders `shared` and `private`."""
    for name in ("plan", "shared", "private"):
        (tmp_path / "a" / name).mkdir(parents=True)
    return tmp_path / "a" / "plan"


def _started(root: Path, toml: str, *allow: str) -> tuple[tuple[Target, ...], Rights]:
    """Return the targets and the rights of a run that has started."""
    targets = tuple(resolve_files(root, {"build.toml": f"\n{toml}"}).targets.values())
    rights = Rights(root=root, allowances=parse_allowances(allow, str(root)), real=cache(real_path))
    assert rights.allowances.missing(needed_grants(targets, root, rights.real), rights.real) == ()
    rights.check(targets)
    return targets, rights


def _relink(link: Path, target: str) -> None:
    link.unlink()
    link.symlink_to(target)


def test_a_symlink_that_leaves_the_folder_later_is_refused(root: Path) -> None:
    (root / "link").symlink_to(".")
    targets, rights = _started(root, '[targets.web]\ncontext = "link"\ndockerfile-inline = "FROM x"')
    _relink(root / "link", "../private")
    with pytest.raises(NotGranted) as caught:
        rights.check(targets)
    assert caught.value.message == "a symlink has changed, so the plan needs 1 other right: fs.read=../private"


def test_a_granted_symlink_that_leads_elsewhere_later_is_refused(root: Path) -> None:
    (root / "link").symlink_to("../shared")
    targets, rights = _started(root, '[targets.web]\ncontext = "link"', "fs.read=link")
    _relink(root / "link", "../private")
    with pytest.raises(NotGranted, match=r"fs.read=../private"):
        rights.check(targets)


def test_an_output_that_leads_into_git_later_is_refused(root: Path) -> None:
    (root / "link").symlink_to("out")
    targets, rights = _started(root, '[targets.web]\noutput = ["type=local,dest=link"]')
    _relink(root / "link", ".git/hooks")
    with pytest.raises(NotGranted, match=r"fs.write=.git/hooks"):
        rights.check(targets)


def test_paths_that_appear_later_need_no_right(root: Path) -> None:
    toml = '[targets.web]\ncontext = "made"\noutput = ["type=local,dest=../shared/out"]'
    targets, rights = _started(root, toml, "fs.write=../shared")
    (root / "made").mkdir()
    (root.parent / "shared" / "out").mkdir()
    rights.check(targets)


def test_who_grants_everything_is_not_asked_again(root: Path) -> None:
    (root / "link").symlink_to(".")
    targets, rights = _started(root, '[targets.web]\ncontext = "link"', "all")
    _relink(root / "link", "/")
    rights.check(targets)
