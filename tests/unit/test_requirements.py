"""Every pip that comes with a supported Python can install requirements.lock."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LOCK = CHECKOUT / "requirements.lock"
ACTION_LOCK = CHECKOUT / "action/requirements.lock"
"""The lock file with which the GitHub Action installs mpbake."""
_LINE = re.compile(r"^([A-Za-z0-9].*?)\s*\\?$", re.MULTILINE)
"""A locked requirement. Lines of hashes and comments begin with spaces or with `#`."""


def locked(text: str) -> dict[str, Requirement]:
    """Return the requirements of a lock file that apply to this machine, by name."""
    requirements = map(Requirement, _LINE.findall(text))
    return {
        canonicalize_name(requirement.name): requirement
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate()
    }


def lost_extras(requirements: Mapping[str, Requirement]) -> Iterator[str]:
    """Yield a message for each requirement that the lock pins without its extra.

    The pip of Python 3.11 refuses those.
    """
    for name, requirement in requirements.items():
        for required in wanted_by(name, requirement):
            pinned = requirements.get(canonicalize_name(required.name))
            if pinned is None or not required.extras <= pinned.extras:
                extras = ",".join(sorted(required.extras))
                yield (
                    f"{name} asks for {required.name}[{extras}], which requirements.lock pins without the extra: "
                    "run `make lock`, which calls uv with --no-strip-extras"
                )


def wanted_by(name: str, requirement: Requirement) -> Iterator[Requirement]:
    """Yield the requirements with an extra in the installed metadata of a locked package."""
    for required in map(Requirement, requires(name) or ()):
        contexts = [{"extra": extra} for extra in ("", *requirement.extras)]
        if required.extras and (required.marker is None or any(map(required.marker.evaluate, contexts))):
            yield required


def test_the_lock_keeps_every_extra_that_a_locked_package_asks_for() -> None:
    requirements = locked(LOCK.read_text(encoding="utf-8"))
    assert {"click", "coverage", "pytest-cov"} <= requirements.keys()
    assert "\n".join(lost_extras(requirements)) == ""


def test_a_lock_that_uv_made_without_no_strip_extras_is_told() -> None:
    stripped = LOCK.read_text(encoding="utf-8").replace("coverage[toml]==", "coverage==")
    assert "\n".join(lost_extras(locked(stripped))) == (
        "pytest-cov asks for coverage[toml], which requirements.lock pins without the extra: "
        "run `make lock`, which calls uv with --no-strip-extras"
    )


@pytest.mark.parametrize("lock", [LOCK, ACTION_LOCK], ids=["development", "action"])
def test_every_locked_requirement_has_hashes(lock: Path) -> None:
    """Without hashes, pip --require-hashes installs nothing."""
    text = lock.read_text(encoding="utf-8")
    assert len(re.findall(r"^[A-Za-z0-9].*\\\n    --hash=sha256:", text, re.MULTILINE)) == len(_LINE.findall(text))


def test_the_action_installs_the_tested_versions_of_everything_that_mpbake_needs() -> None:
    tested = locked(LOCK.read_text(encoding="utf-8"))
    installed = locked(ACTION_LOCK.read_text(encoding="utf-8"))
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    assert {canonicalize_name(Requirement(text).name) for text in needed} <= installed.keys()
    assert {name: installed[name].specifier for name in installed} == {
        name: tested[name].specifier for name in installed
    }
