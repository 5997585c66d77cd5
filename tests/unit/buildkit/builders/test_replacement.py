"""Checks before a resource is replaced: whether the registry has the new image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.buildkit.builders import replacement
from mpbake.buildkit.registry.client import Manifest, RegistryFailure, RequestFailed
from mpbake.buildkit.registry.registries import Registries
from tests.unit import workspaces
from tests.unit.dockers import FakeDocker

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.buildkit.registry.client import Repository


class Registry:
    """A registry that answers every request with a status, and records what was asked for."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.asked: list[str] = []

    @property
    def without_retries(self) -> Registry:
        return self

    def manifest(self, repository: Repository, name: str) -> Manifest:
        self.asked.append(f"{repository.registry}/{repository.path} {name}")
        if self.status == 200:
            return Manifest(content=b"", media_type="")
        raise RequestFailed(RegistryFailure(registry=repository.registry, status=self.status))


@pytest.mark.parametrize(("status", "missing"), [(200, False), (404, True), (401, False), (503, False), (0, False)])
def test_only_a_registry_that_says_so_lacks_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, *, missing: bool
) -> None:
    registry = Registry(status)
    monkeypatch.setattr(Registries, "client", lambda _, __: registry)
    workspace, _ = workspaces.workspace_with(tmp_path, FakeDocker({}))
    assert replacement._is_missing(workspace, workspaces.LOCAL, "r.example.com/bk:v2") is missing
    assert registry.asked == ["r.example.com/bk v2"]


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        ("moby/buildkit", ["docker.io/moby/buildkit latest"]),
        ("r.example.com/bk:v2@sha256:" + "0" * 64, ["r.example.com/bk sha256:" + "0" * 64]),
        ("NOT AN IMAGE", []),
    ],
)
def test_the_name_of_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: str, asked: list[str]) -> None:
    registry = Registry(200)
    monkeypatch.setattr(Registries, "client", lambda _, __: registry)
    workspace, _ = workspaces.workspace_with(tmp_path, FakeDocker({}))
    assert not replacement._is_missing(workspace, workspaces.LOCAL, image)
    assert registry.asked == asked
