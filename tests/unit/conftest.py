"""Fixtures of every unit test: no test starts a process, and hypothesis generates the same cases in every run."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import settings
from testbed.certs import ensure_certificates

from tests.unit.tls import Certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

settings.register_profile("mpbake", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("mpbake")

_STARTERS = (
    "system",
    "fork",
    "forkpty",
    "posix_spawn",
    "posix_spawnp",
    *(name for name in dir(os) if name.startswith(("exec", "spawn"))),
)


@pytest.fixture(autouse=True)
def no_subprocess(request: pytest.FixtureRequest) -> Iterator[None]:
    """Make every start of a process fail the test, unless the test is marked `allow_subprocess`."""
    if request.node.get_closest_marker("allow_subprocess"):
        yield
        return
    # The fixture `monkeypatch` is not used here: hypothesis would report that a property does not reset it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", _refusal("subprocess.Popen"))
        for name in _STARTERS:
            patch.setattr(os, name, _refusal(f"os.{name}"), raising=False)
        yield


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return certificates of a node and of its clients."""
    folder = tmp_path_factory.mktemp("certificates")
    ensure_certificates(folder)
    return Certificates(folder=folder)


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refuse(*arguments: object, **options: object) -> NoReturn:
        pytest.fail(f"a unit test starts a process: {name} with {arguments[-1:]} {options}")

    return refuse
