"""The grants of a bake call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.buildkit.bake.bake_call import Bake, nearest_existing
from tests.unit.dockers import FakeDocker

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("buildx", "granted"),
    [
        ((0, 13), []),
        ((0, 16), []),
        ((0, 17), ["network.host", "device"]),
        ((0, 18), ["network.host", "device"]),
        ((0, 19), ["network.host", "device", "fs.read={folder}"]),
    ],
)
def test_a_buildx_is_told_what_it_wants_to_be_told(tmp_path: Path, buildx: tuple[int, int], granted: list[str]) -> None:
    (tmp_path / "plan").mkdir()
    target = {"context": str(tmp_path / "other"), "network": "host", "entitlements": ["network.host", "device"]}
    bake = Bake(docker=FakeDocker({}), root=tmp_path / "plan", buildx=buildx)
    grants = bake._grants({"target": {"web": target}})
    assert grants == [grant.format(folder=tmp_path) for grant in granted]


def test_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in ("file", "folder"):
        assert nearest_existing(str(tmp_path / path)) == str(tmp_path / path)
    assert nearest_existing(str(tmp_path / "folder/a/b")) == str(tmp_path / "folder")
    assert nearest_existing(str(tmp_path / "no/a")) == str(tmp_path)
    assert nearest_existing("/no-such-folder-at-all/x") == "/"
