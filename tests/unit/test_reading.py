"""Registries asked without any node."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.buildkit import reading
from mpbake.errors import Unreachable
from mpbake.expected import expected_of
from mpbake.platforms import parse_platforms
from tests.unit.dockers import FakeDocker, context_in_use, done
from tests.unit.indexes import ONE
from tests.unit.plans import target_of_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class Reader(FakeDocker):
    """Made as the real one is."""

    def __init__(self, environment: Mapping[str, str], folder: Path, hide: Callable[[str], str]) -> None:
        super().__init__({"context inspect": context_in_use("here"), "buildx imagetools": done(json.dumps(ONE))})
        self.answers["buildx version"] = done(hide("github.com/docker/buildx v0.12.1"))
        self.given = dict(environment)
        self.folder = folder
        self.scratch = folder / "scratch"
        self.closed = False

    def close(self) -> None:
        assert self.folder.is_dir()
        self.closed = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Reader]:
    """Every one that was made."""
    found: list[Reader] = []

    def make(*arguments: Any) -> Reader:
        found.append(Reader(*arguments))
        return found[-1]

    monkeypatch.setattr(reading, "Docker", make)
    return found


def test_what_is_served_is_asked_with_the_logins_of_this_machine_and_settings_of_nobody(made: list[Reader]) -> None:
    stops: list[Callable[[], None]] = []
    expected = expected_of(
        target_of_text("[targets.web]\ntags = ['r/web:1']"), parse_platforms(["linux/amd64"]), "sha256:1"
    )
    given = {"DOCKER_CONFIG": "/logins", "TOKEN": "t"}
    with reading.open_verification(given, lambda said: said.replace("0.12", "0.13"), stops.append) as verification:
        assert verification.compare(expected)[0] == ()
        (docker,) = made
        assert stops == [docker.cancel], "whoever is stopped is not waited for"
        assert not docker.closed
    assert docker.given == {"DOCKER_CONFIG": "/logins"}
    assert docker.commands[-1] == "buildx imagetools inspect --builder here --format {{json .}} r/web:1"
    assert docker.settings[-1]["endpoint"] == ""
    assert docker.settings[-1]["environment"] == {"BUILDX_CONFIG": str(docker.scratch)}
    assert docker.closed
    assert not docker.folder.exists()


def test_a_buildx_that_is_too_old_is_told_before_anything_is_asked(made: list[Reader]) -> None:
    with (
        pytest.raises(Unreachable, match=r"^docker buildx 0\.12 is too old"),
        reading.open_verification({}, str, lambda _: None),
    ):
        pytest.fail("nothing can be asked")
    (docker,) = made
    assert docker.commands == ["buildx version"]
    assert docker.closed
