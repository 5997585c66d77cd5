"""Whether buildx may start git in a context."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from mpbake.buildkit.bake.git_info import may_start_git

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.allow_subprocess
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, env=ENVIRONMENT, check=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout with a folder."""
    (tmp_path / "checkout/web").mkdir(parents=True)
    git(tmp_path / "checkout", "init", "--quiet")
    return tmp_path / "checkout"


def test_an_ordinary_checkout(checkout: Path) -> None:
    for context in (checkout, checkout / "web", "https://example.com/team/web.git"):
        assert may_start_git(str(context), ENVIRONMENT)


def test_a_bare_repository_in_the_checkout(checkout: Path) -> None:
    shutil.copytree(checkout / ".git", checkout / "web", dirs_exist_ok=True)
    (checkout / "web/context").mkdir()
    assert not may_start_git(str(checkout / "web/context"), ENVIRONMENT)


@pytest.mark.parametrize(("key", "value"), [("remote.Origin.promisor", "true"), ("extensions.partialClone", "origin")])
def test_a_partial_clone(checkout: Path, key: str, value: str) -> None:
    git(checkout, "config", key, value)
    assert not may_start_git(str(checkout / "web"), ENVIRONMENT)


def test_no_repository(tmp_path: Path) -> None:
    assert not may_start_git(str(tmp_path), ENVIRONMENT)
