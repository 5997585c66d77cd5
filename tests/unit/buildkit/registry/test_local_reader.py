"""Verification from this machine, without any node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.base.platforms import parse_platforms
from mpbake.buildkit.registry import local_reader as reading
from mpbake.model.expected_images import expected_of
from tests.unit.dockers import FakeDocker
from tests.unit.plans import target_of_text
from tests.unit.registries import MemoryRegistries, MemoryRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pytest


class Reader(FakeDocker):
    """A fake with the constructor of the real class."""

    def __init__(self, environment: Mapping[str, str], folder: Path, redact: Callable[[str], str]) -> None:
        super().__init__({})
        assert redact("a") == "a"
        self.environment = dict(environment)
        self.folder = folder
        self.closed = False

    def close(self) -> None:
        assert self.folder.is_dir()
        self.closed = True


def test_what_is_served_is_asked_without_any_process(monkeypatch: pytest.MonkeyPatch) -> None:
    registry, made, stops = MemoryRegistry(), list[Reader](), list[Any]()
    index = registry.add_index("r/web", "amd64", tag="1")

    def make(*arguments: Any) -> Reader:
        made.append(Reader(*arguments))
        return made[-1]

    monkeypatch.setattr(reading, "Docker", make)
    monkeypatch.setattr(reading, "Registries", lambda *_: MemoryRegistries(registry))
    target = target_of_text("[targets.web]\ntags = ['r/web:1']")
    expected = expected_of(target, parse_platforms(["linux/amd64"]), index.digest)
    environment = {"DOCKER_CONFIG": "/logins", "TOKEN": "t"}
    with reading.open_verification(environment, str, stops.append) as verification:
        assert verification(target.builder).compare(expected)[0] == ()
        (docker,) = made
        assert stops == [docker.cancel], "whoever is stopped is not waited for"
        assert not docker.closed
    assert docker.environment == {"DOCKER_CONFIG": "/logins"}
    assert docker.commands == []
    assert docker.closed
    assert not docker.folder.exists()
